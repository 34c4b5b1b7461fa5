package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// sharedLock is held shared by every store that has read the log and may open more of it. Segments are deleted under
// the exclusive lock alone, so nobody ever misses one. The lock belongs to the open file, not to the process.
type sharedLock struct{ f *os.File }

const lockFile = "followers"

func openLock(dir string) (*sharedLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state: open: %w", err)
	}
	return &sharedLock{f}, nil
}

func (l *sharedLock) set(kind int16) error {
	return unix.FcntlFlock(l.f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind})
}

// share takes the lock shared; it waits while somebody deletes segments, which takes milliseconds.
func (l *sharedLock) share(ctx context.Context) error {
	for {
		err := l.set(unix.F_RDLCK)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
			return fmt.Errorf("state: lock the log: %w", err)
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// exclude turns the shared lock into the exclusive one, or leaves it shared and returns false.
func (l *sharedLock) exclude() bool { return l.set(unix.F_WRLCK) == nil }

// readmit turns the exclusive lock into the shared one.
func (l *sharedLock) readmit() error { return l.set(unix.F_RDLCK) }

func (l *sharedLock) close() error { return l.f.Close() }

// pause waits, or returns the cause why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
