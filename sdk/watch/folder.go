package watch

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// Event is a name in the folder that something has happened to.
type Event struct {
	Name string
	Come bool // it was made, or renamed into the folder
	Lost bool // the kernel has dropped events, and there is no name
}

// Folder is a source of events.
type Folder struct {
	dir     string
	watcher *fsnotify.Watcher
	events  chan Event
	quit    chan struct{}
	err     error // valid when events is closed
}

// Open watches a folder, which is made if it is missing.
func Open(dir string) (*Folder, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	f := &Folder{dir: dir, watcher: w, events: make(chan Event), quit: make(chan struct{})}
	if err := f.Ensure(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	go f.pass()
	return f, nil
}

// Events is closed when there will be no more; then see Err.
func (f *Folder) Events() <-chan Event { return f.events }

// Err is why there are no more events.
func (f *Folder) Err() error { return f.err }

// Ensure makes the folder, and watches it also when it was replaced. It may be repeated.
func (f *Folder) Ensure() error {
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return err
	}
	return f.watcher.Add(f.dir)
}

// Close ends the events. It is called once.
func (f *Folder) Close() error {
	close(f.quit)
	return f.watcher.Close()
}

// pass hands on what the kernel tells, until it fails.
func (f *Folder) pass() {
	defer close(f.events)
	for {
		var e Event
		select {
		case ev, ok := <-f.watcher.Events:
			if !ok {
				f.err = fsnotify.ErrClosed
				return
			}
			e = Event{Name: filepath.Base(ev.Name), Come: ev.Has(fsnotify.Create)}
		case err, ok := <-f.watcher.Errors:
			if !ok {
				f.err = fsnotify.ErrClosed
				return
			}
			if f.err = err; !errors.Is(err, fsnotify.ErrEventOverflow) {
				return
			}
			e.Lost = true
		}
		select {
		case f.events <- e:
		case <-f.quit:
			return
		}
	}
}
