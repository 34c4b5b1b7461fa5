package keel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// LockedError says that another keel runs the instance.
type LockedError struct {
	Path string
	PID  string // as the holder wrote it; may be empty
}

func (e *LockedError) Error() string {
	if e.PID == "" {
		return fmt.Sprintf("the instance is in use (%s is locked)", e.Path)
	}
	return fmt.Sprintf("the instance is in use by theseusd with pid %s (%s is locked)", e.PID, e.Path)
}

// lock is held by an open descriptor; it ends with the process, however that ends. Children do not inherit it.
type lock struct{ file *os.File }

// Lock keeps every keel from the instance until release is called. While one has it, that is a *LockedError.
func Lock(run string) (release func(), err error) {
	l, err := acquire(run)
	if err != nil {
		return nil, err
	}
	return l.release, nil
}

func acquire(run string) (*lock, error) {
	path := filepath.Join(run, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		defer f.Close()
		return nil, &LockedError{Path: path, PID: holder(path)}
	}
	if err == nil {
		err = sign(f)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &lock{f}, nil
}

// sign writes our pid for others to read.
func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := fmt.Fprintf(f, "%d\n", os.Getpid())
	return err
}

func holder(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// release leaves the file where it is: removing it would let two keels lock two files of one name.
func (l *lock) release() {
	_ = l.file.Truncate(0)
	l.file.Close()
}
