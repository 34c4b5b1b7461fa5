package watch

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// Times of File.
const (
	gather = 50 * time.Millisecond // changes that come together are one
	every  = 30 * time.Second      // it is looked at anyway
)

// File calls look at once, soon after something in the folder of path has changed, and every 30 seconds, until ctx ends: look has
// to see for itself whether the file is another one. So it does not matter how the file is replaced: written over, renamed
// into its place, or by a link to another folder.
func File(ctx context.Context, path string, look func()) {
	(&fileWatch{dir: filepath.Dir(path)}).run(ctx, look)
}

// run is File. A folder that nothing is heard of any more is watched anew.
func (w *fileWatch) run(ctx context.Context, look func()) {
	defer func() { go w.close() }() // it takes the kernel 5 to 20 ms, in which a service that is released serves nobody
	w.open()
	look() // what has changed before
	tick := time.NewTicker(every)
	defer tick.Stop()
	var gathered <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.open()
			look()
		case <-gathered:
			gathered = nil
			w.open()
			look()
		case _, ok := <-w.events():
			if !ok {
				w.close()
			}
			if gathered == nil {
				gathered = time.After(gather)
			}
		}
	}
}

// fileWatch is the folder of a file, if it is there and the kernel tells of it.
type fileWatch struct {
	dir    string
	folder *Folder
}

// open begins to watch, or watches a folder that was replaced. A folder that is not there is not made.
func (w *fileWatch) open() {
	if _, err := os.Stat(w.dir); err != nil {
		return
	}
	if w.folder != nil {
		_ = w.folder.Ensure()
		return
	}
	if f, err := Open(w.dir); err == nil {
		w.folder = f
	}
}

func (w *fileWatch) events() <-chan Event {
	if w.folder == nil {
		return nil
	}
	return w.folder.Events()
}

func (w *fileWatch) close() {
	if w.folder != nil {
		_ = w.folder.Close()
		w.folder = nil
	}
}
