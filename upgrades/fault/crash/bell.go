package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk/watch"
)

// bell rings when a file changes in one of the folders by which an instance tells what it does: its journal, its
// sockets and records of processes, and where it stands still.
type bell struct {
	folders []*watch.Folder

	mu   sync.Mutex
	rung chan struct{} // closed at the next change
}

func newBell(dirs ...string) (*bell, error) {
	b := &bell{rung: make(chan struct{})}
	for _, dir := range dirs {
		f, err := watch.Open(dir)
		if err != nil {
			return nil, errors.Join(err, b.close())
		}
		b.folders = append(b.folders, f)
		go b.listen(f)
	}
	return b, nil
}

func (b *bell) close() (err error) {
	for _, f := range b.folders {
		err = errors.Join(err, f.Close())
	}
	return err
}

// listen ends with close.
func (b *bell) listen(f *watch.Folder) {
	for range f.Events() {
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
