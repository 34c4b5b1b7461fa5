package watch

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// source tells of files that came into the folder.
type source interface {
	Events() <-chan event // closed when there will be no more; then see Err
	Err() error
	Ensure() error // makes the folder, and watches it also when it was replaced
	Close() error
}

// event is a name in the folder, or the news that some were lost.
type event struct {
	name     string
	overflow bool
}

// deaf is the source where there is none.
type deaf struct{ dir string }

func (d deaf) Events() <-chan event { return nil }
func (d deaf) Err() error           { return nil }
func (d deaf) Ensure() error        { return os.MkdirAll(d.dir, 0o755) }
func (d deaf) Close() error         { return nil }

// notify is the kernel's source.
type notify struct {
	dir     string
	watcher *fsnotify.Watcher
	events  chan event
	quit    chan struct{}
	err     error // valid when events is closed
}

func openNotify(dir string) (source, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	n := &notify{dir: dir, watcher: w, events: make(chan event), quit: make(chan struct{})}
	if err := n.Ensure(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	go n.pass()
	return n, nil
}

func (n *notify) Events() <-chan event { return n.events }
func (n *notify) Err() error           { return n.err }

// Ensure may be repeated: watching the same folder again changes nothing.
func (n *notify) Ensure() error {
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return err
	}
	return n.watcher.Add(n.dir)
}

// Close ends the events. It is called once.
func (n *notify) Close() error {
	close(n.quit)
	return n.watcher.Close()
}

// pass hands on what is news here: a file that came by rename and one that was made look the same. That one is
// written to is no news, since it is looked at again anyway until nobody touches it.
func (n *notify) pass() {
	defer close(n.events)
	for {
		var e event
		select {
		case ev, ok := <-n.watcher.Events:
			if !ok {
				n.err = fsnotify.ErrClosed
				return
			}
			if !ev.Has(fsnotify.Create) {
				continue
			}
			e.name = filepath.Base(ev.Name)
		case err, ok := <-n.watcher.Errors:
			if !ok {
				n.err = fsnotify.ErrClosed
				return
			}
			if n.err = err; !errors.Is(err, fsnotify.ErrEventOverflow) {
				return
			}
			e.overflow = true
		}
		select {
		case n.events <- e:
		case <-n.quit:
			return
		}
	}
}
