package upgrades

import (
	"slices"
	"sync"

	"github.com/theseusd/theseus/sdk/control"
)

// maxQueued bounds the progress that waits for a slow reader; what is journaled is never dropped.
const maxQueued = 1024

// feeds spreads the events of an upgrade to those who watch it. The upgrade never waits for them.
type feeds struct {
	mu   sync.Mutex
	list []*feed
}

// feed is what one watcher has not read yet.
type feed struct {
	queue []control.Event
	wake  chan struct{}
}

func (fs *feeds) add() *feed {
	f := &feed{wake: make(chan struct{}, 1)}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = append(fs.list, f)
	return f
}

func (fs *feeds) remove(f *feed) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.list = slices.DeleteFunc(fs.list, func(other *feed) bool { return other == f })
}

func (fs *feeds) send(ev control.Event) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.list {
		if ev.Seq == 0 && len(f.queue) >= maxQueued {
			continue
		}
		f.queue = append(f.queue, ev)
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

func (fs *feeds) take(f *feed) []control.Event {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	list := f.queue
	f.queue = nil
	return list
}
