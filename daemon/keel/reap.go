package keel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/daemon/internal/proc"
)

// reap takes the exit status of every child that died, the daemon and adopted orphans alike. It is the only place
// that waits for children, so no status goes to the wrong one.
func (k *keel) reap() (end bool, err error) {
	for {
		var ws unix.WaitStatus
		pid, werr := unix.Wait4(-1, &ws, unix.WNOHANG, nil)
		if werr == unix.EINTR {
			continue
		}
		if werr != nil || pid <= 0 {
			return false, nil
		}
		if k.replacing != nil && k.replacing.child != nil && pid == k.replacing.child.pid {
			k.replacing.child.conn.Close()
			k.replacing.child = nil
			k.give("it ended before it was in charge: " + proc.ExitText(syscall.WaitStatus(ws)))
			continue
		}
		if k.child == nil || pid != k.child.pid {
			k.log.Debug("reaped", "pid", pid, "how", proc.ExitText(syscall.WaitStatus(ws)))
			continue
		}
		if end, err = k.died(syscall.WaitStatus(ws)); end {
			return end, err
		}
	}
}

// died decides what follows from the daemon's end.
func (k *keel) died(ws syscall.WaitStatus) (end bool, err error) {
	life := time.Since(k.child.started)
	k.child.conn.Close()
	k.child = nil
	if k.stopping {
		if ws.Signaled() || k.letGo() {
			return k.stopByAnother()
		}
		return true, k.sweep()
	}
	if !k.ready && ws.Exited() && ws.ExitStatus() != 0 {
		return true, errors.Join(&ExitError{Code: ws.ExitStatus()}, k.sweep())
	}
	if k.diedReplaced(proc.ExitText(ws)) {
		return false, nil
	}
	k.failures++
	wait := k.later(life)
	k.log.Error("the daemon died; services go on", "how", proc.ExitText(ws), "after", life, "restart_in", wait)
	return false, nil
}

// later schedules the next start and returns in how long that is.
func (k *keel) later(life time.Duration) (wait time.Duration) {
	if life >= steadyLife {
		k.backoff = k.cfg.Backoff
	}
	wait = k.backoff
	k.restart = time.After(wait)
	k.backoff = min(2*wait, k.cfg.MaxBackoff)
	return wait
}

// force kills the daemon and all that is left.
func (k *keel) force() error {
	if k.child != nil {
		k.child.signal(syscall.SIGKILL)
	}
	return errors.Join(ErrForced, k.sweep())
}

// sweep kills every process below the keel and returns when there is none. Killing a parent hands its children to
// the keel, so it goes on until the kernel knows of no child any more.
func (k *keel) sweep() error {
	limit := time.After(killGrace)
	for {
		if !reapAll() {
			return nil
		}
		ids, err := proc.Children(os.Getpid())
		if err != nil {
			return err
		}
		for _, id := range ids {
			k.log.Warn("killing what was left", "pid", id.PID)
			_ = syscall.Kill(id.PID, syscall.SIGKILL)
		}
		select {
		case <-k.deaths:
		case <-limit:
			return errors.New("some processes do not die")
		}
	}
}

// reapAll reaps what is dead and reports whether there are other children.
func reapAll() bool {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err == unix.ECHILD {
			return false
		}
		if pid <= 0 && err != unix.EINTR {
			return true
		}
	}
}

// killPrevious ends the daemon of a keel that was killed, if it has not ended by itself.
func killPrevious(run string) error {
	id, err := recorded(run)
	if err != nil || id.PID == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), proc.KillTimeout)
	defer cancel()
	return proc.Kill(ctx, id)
}

// recorded is the daemon of the last keel; no PID if there is no word of one.
func recorded(run string) (id proc.ID, err error) {
	text, err := os.ReadFile(recordPath(run))
	if errors.Is(err, fs.ErrNotExist) {
		return id, nil
	}
	if err != nil {
		return id, err
	}
	if json.Unmarshal(text, &id) != nil {
		return proc.ID{}, nil // cut short by a power loss, which has ended the process as well
	}
	return id, nil
}

// AwaitPrevious returns when the daemon of a keel that is gone has ended: by itself, in order, or by force when the
// time is over.
func AwaitPrevious(ctx context.Context, run string, limit time.Duration, say func(string)) error {
	id, err := recorded(run)
	if err != nil || !id.Alive() {
		return err
	}
	handle, err := proc.Open(id)
	if errors.Is(err, proc.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	say(fmt.Sprintf("waiting for the daemon, pid %d, to stop its services", id.PID))
	_ = handle.Signal(syscall.SIGCONT) // a stopped daemon could not
	patient, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if handle.Wait(patient) == nil {
		return nil
	}
	say(fmt.Sprintf("killing the daemon, pid %d", id.PID))
	return killPrevious(run)
}
