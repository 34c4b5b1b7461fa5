package keel

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/daemon/internal/proc"
	"github.com/theseusd/theseus/sdk/fault"
)

// FD is the descriptor number of the socket to the keel in a daemon.
const FD = 3

// child is a running daemon.
type child struct {
	pid     int
	conn    *net.UnixConn // our end of the socketpair
	started time.Time
	silent  int // ticks since the last beat
}

// signal reaches the daemon itself and nobody else: its pid is free for others only after reap, in the same loop.
func (c *child) signal(s syscall.Signal) { _ = syscall.Kill(c.pid, s) }

// start runs a daemon. If it cannot be run it counts as one that died at once.
func (k *keel) start() {
	k.restart = nil
	c, err := k.spawn(k.program)
	if err != nil {
		k.failures++
		k.log.Error("the daemon could not be started", "error", err)
		k.later(0)
		return
	}
	k.child = c
	fault.At(fault.KeelSpawned)
	if err := remember(k.cfg.Run, c.pid); err != nil {
		k.log.Warn("the daemon's record could not be written", "error", err)
	}
	k.log.Debug("daemon started", "pid", c.pid)
	go k.receive(c)
}

// spawn runs the program that which names, with further arguments.
func (k *keel) spawn(which func() (string, error), args ...string) (*child, error) {
	path, err := which()
	if err != nil {
		return nil, err
	}
	ours, theirs, err := socketpair()
	if err != nil {
		return nil, err
	}
	defer unix.Close(theirs)
	pid, err := forkExec(path, slices.Concat(k.cfg.Args, args), theirs)
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &child{pid: pid, conn: ours, started: time.Now()}, nil
}

// patience is how many daemons in a row may die before they are ready until the program itself is in doubt.
const patience = 3

// own is the program that this process runs, also when its file has been replaced.
const own = "/proc/self/exe"

// program is the path of the daemon in charge: of the one that has replaced another, else the keel's own, which is
// looked up by name each time, so a new binary put there becomes the next daemon. When the file is gone, or daemons
// made of it never get ready, the program that the keel runs must do.
func (k *keel) program() (string, error) {
	path := k.charge.Path
	if path == "" {
		path = k.cfg.Path
	}
	if path == "" {
		var err error
		if path, err = os.Executable(); err != nil {
			return "", err
		}
	}
	if _, err := os.Stat(path); err != nil || (k.failures >= patience && k.failures%2 == 1) {
		return own, nil
	}
	return path, nil
}

// forkExec gives the daemon a process group of its own: a ^C at the terminal is for the keel alone.
func forkExec(path string, args []string, sock int) (pid int, err error) {
	attr := &syscall.ProcAttr{
		Env:   daemonEnv(os.Environ()),
		Files: []uintptr{0, 1, 2, FD: uintptr(sock)},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	}
	pid, _, err = syscall.StartProcess(path, append([]string{os.Args[0]}, args...), attr)
	return pid, err
}

// daemonEnv takes away what is systemd's word to the keel alone.
func daemonEnv(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		return strings.HasPrefix(v, "NOTIFY_SOCKET=") || strings.HasPrefix(v, "WATCHDOG_")
	})
}

func socketpair() (ours *net.UnixConn, theirs int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, -1, fmt.Errorf("socketpair: %w", err)
	}
	ours, err = adopt(pair[0])
	if err != nil {
		unix.Close(pair[1])
		return nil, -1, err
	}
	return ours, pair[1], nil
}

// adopt makes a connection of a socket and owns the descriptor.
func adopt(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "keel")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("socket between keel and daemon: %w", err)
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, errors.New("descriptor is no unix socket: a daemon is started by its keel, not by hand")
	}
	return u, nil
}

// The daemon's record lets the next keel find it when this one was killed.
func recordPath(run string) string { return filepath.Join(run, "daemon.json") }

func remember(run string, pid int) error {
	id, err := proc.Of(pid)
	if err != nil {
		return err
	}
	text, err := json.Marshal(id)
	if err != nil {
		return err
	}
	tmp := recordPath(run) + "." + strconv.Itoa(os.Getpid())
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, recordPath(run))
}
