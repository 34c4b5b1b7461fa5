package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// proc is a process; signals reach it or nobody.
type proc struct {
	pid int
	fd  int
}

func hold(pid int) (proc, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	return proc{pid, fd}, err
}

func (p proc) signal(s syscall.Signal) { _ = unix.PidfdSendSignal(p.fd, s, nil, 0) }
func (p proc) close()                  { _ = unix.Close(p.fd) }

func (p proc) gone() bool {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// standing waits until a process that has told where it is stands still there: a SIGCONT before that would be lost.
func standing(pid int) {
	tick := time.NewTicker(100 * time.Microsecond)
	defer tick.Stop()
	for range 10_000 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if _, state, ok := strings.Cut(string(text), ") "); err != nil || !ok || strings.ContainsAny(state[:1], "TtZX") {
			return
		}
		<-tick.C
	}
}

// crowd are the processes of one instance.
type crowd struct {
	daemons  []int
	services map[string][]int // by version
	dead     int              // that nobody has reaped
}

// crowd finds the processes below the keel: it is the parent of all whose own parent is gone.
func (in *instance) crowd() crowd {
	c := crowd{services: map[string][]int{}}
	for _, pid := range children(in.keel()) {
		in.count(&c, pid, true)
	}
	return c
}

// count adds a process, and those below it.
func (in *instance) count(c *crowd, pid int, daemon bool) {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		c.dead++
		return
	}
	exe = strings.TrimSuffix(exe, " (deleted)")
	digest, ours := strings.CutPrefix(filepath.Dir(exe), in.path("store")+"/")
	switch {
	case ours:
		v := in.versionOf(digest)
		c.services[v] = append(c.services[v], pid)
	case daemon:
		c.daemons = append(c.daemons, pid)
		for _, child := range children(pid) {
			in.count(c, child, false)
		}
	default:
		c.services[exe] = append(c.services[exe], pid)
	}
}

// children lists the children of all threads of a process.
func children(pid int) (list []int) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*/children", pid))
	for _, path := range threads {
		text, _ := os.ReadFile(path)
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				list = append(list, child)
			}
		}
	}
	return list
}

// versionOf reads what package lies in the store under a digest.
func (in *instance) versionOf(digest string) string {
	if v, ok := in.digests[digest]; ok {
		return v
	}
	var meta struct{ Version string }
	text, err := os.ReadFile(in.path("store", digest, "package.json"))
	if err != nil || json.Unmarshal(text, &meta) != nil {
		return "?"
	}
	in.digests[digest] = meta.Version
	return meta.Version
}

// descriptors counts the open files of a process.
func descriptors(pid int) int {
	list, _ := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	return len(list)
}
