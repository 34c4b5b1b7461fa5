package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// bell rings when a file changes in one of the directories by which an instance tells what it does: its journal, its
// sockets and records of processes, and where it stands still.
type bell struct {
	events *os.File

	mu   sync.Mutex
	rung chan struct{} // closed at the next change
}

const ringsAt = unix.IN_CLOSE_WRITE | unix.IN_MODIFY | unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_DELETE

func newBell(dirs ...string) (*bell, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("inotify: %w", err)
	}
	b := &bell{events: os.NewFile(uintptr(fd), "inotify"), rung: make(chan struct{})}
	for _, dir := range dirs {
		if _, err := unix.InotifyAddWatch(fd, dir, ringsAt); err != nil {
			b.close()
			return nil, fmt.Errorf("inotify: %s: %w", dir, err)
		}
	}
	go b.listen()
	return b, nil
}

func (b *bell) close() { _ = b.events.Close() }

// listen ends with close.
func (b *bell) listen() {
	buf := make([]byte, 4096)
	for {
		if _, err := b.events.Read(buf); err != nil {
			return
		}
		b.mu.Lock()
		close(b.rung)
		b.rung = make(chan struct{})
		b.mu.Unlock()
	}
}

// next is closed when something changes from now on.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rung
}

// How long an instance is left alone between two looks.
const (
	moment = 20 * time.Millisecond  // at least, if that is asked for
	while  = 100 * time.Millisecond // at most: not all that happens is seen in files
)

// lull waits until something has changed, which next has told, at most a while. A look that costs the instance
// something comes a moment later at the earliest.
func lull(ctx context.Context, changed <-chan struct{}, least time.Duration) {
	late := time.NewTimer(while)
	defer late.Stop()
	select {
	case <-changed:
	case <-late.C:
		return
	case <-ctx.Done():
		return
	}
	if least > 0 {
		rest := time.NewTimer(least)
		defer rest.Stop()
		select {
		case <-rest.C:
		case <-ctx.Done():
		}
	}
}
