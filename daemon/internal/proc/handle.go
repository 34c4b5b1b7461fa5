package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Handle holds one process. Its methods may be called by several goroutines.
type Handle struct {
	id   ID
	file *os.File // the pidfd, in the runtime's poller
	conn syscall.RawConn
	done chan struct{}
	exit string // set before done is closed
}

// Open takes hold of a process. One that is gone, or whose pid has another owner now, is ErrGone.
func Open(id ID) (*Handle, error) {
	fd, err := unix.PidfdOpen(id.PID, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("pid %d: %w", id.PID, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("pidfd of %d: %w", id.PID, err)
	}
	// The pidfd is open: from here on the pid cannot get another owner unnoticed.
	if !id.Alive() {
		unix.Close(fd)
		return nil, fmt.Errorf("pid %d: %w", id.PID, ErrGone)
	}
	return newHandle(id, fd)
}

// Adopt makes a handle of the pidfd of a process that this one has just started, and owns the descriptor. If
// it cannot, it kills the process.
func Adopt(pid, pidfd int) (*Handle, error) {
	id, err := Of(pid)
	if errors.Is(err, ErrGone) {
		id, err = ID{PID: pid}, nil // dead already; Done will say so
	}
	if err == nil {
		err = unix.SetNonblock(pidfd, true)
	}
	if err != nil {
		_ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
		unix.Close(pidfd)
		return nil, err
	}
	return newHandle(id, pidfd)
}

func newHandle(id ID, fd int) (*Handle, error) {
	f := os.NewFile(uintptr(fd), "pidfd "+strconv.Itoa(id.PID))
	conn, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	h := &Handle{id: id, file: f, conn: conn, done: make(chan struct{})}
	go h.watch()
	return h, nil
}

// ID is the identity of the process.
func (h *Handle) ID() ID { return h.id }

// Done is closed when the process is gone.
func (h *Handle) Done() <-chan struct{} { return h.done }

// Exit tells how the process ended, once Done is closed: "exit status 1", "signal: killed", or "" when somebody else
// has its exit status.
func (h *Handle) Exit() string {
	select {
	case <-h.done:
		return h.exit
	default:
		return ""
	}
}

// watch waits in the runtime's poller, so a process costs no thread, and reaps it if it is a child of this one.
func (h *Handle) watch() {
	err := h.conn.Read(func(fd uintptr) bool { return readable(int(fd)) })
	if err == nil {
		h.exit = reap(h.id.PID)
	}
	close(h.done)
	h.file.Close()
}

func readable(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p, 0)
		if err != unix.EINTR {
			return err != nil || n > 0
		}
	}
}

// reap takes the exit status of a dead child. For a process that is not ours it does nothing: its parent does it.
func reap(pid int) string {
	var ws unix.WaitStatus
	for {
		got, err := unix.Wait4(pid, &ws, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || got != pid {
			return ""
		}
		return ExitText(syscall.WaitStatus(ws))
	}
}

// ExitText says in words how a process ended.
func ExitText(ws syscall.WaitStatus) string {
	switch {
	case ws.Exited():
		return fmt.Sprintf("exit status %d", ws.ExitStatus())
	case ws.CoreDump():
		return fmt.Sprintf("signal: %s (core dumped)", ws.Signal())
	}
	return fmt.Sprintf("signal: %s", ws.Signal())
}

// Signal sends a signal; to a process that is gone it is ErrGone.
func (h *Handle) Signal(sig syscall.Signal) error {
	var sent error
	err := h.conn.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	if err != nil || errors.Is(sent, unix.ESRCH) {
		return fmt.Errorf("pid %d: %w", h.id.PID, ErrGone)
	}
	return sent
}

// Wait returns nil when the process is gone, or the context's error.
func (h *Handle) Wait(ctx context.Context) error {
	select {
	case <-h.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Kill ends the processes by SIGKILL and returns when they are gone, at the latest when the context ends. Those that
// are gone already are none of its errors.
func Kill(ctx context.Context, ids ...ID) error {
	var errs []error
	var handles []*Handle
	for _, id := range ids {
		h, err := Open(id)
		if err == nil {
			err = h.Signal(syscall.SIGKILL)
			handles = append(handles, h)
		}
		if err != nil && !errors.Is(err, ErrGone) {
			errs = append(errs, err)
		}
	}
	for _, h := range handles {
		if err := h.Wait(ctx); err != nil {
			errs = append(errs, fmt.Errorf("pid %d does not die: %w", h.id.PID, err))
		}
	}
	return errors.Join(errs...)
}

// KillTimeout is enough for a process to die of SIGKILL unless the kernel itself is stuck.
const KillTimeout = 10 * time.Second
