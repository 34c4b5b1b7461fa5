// Package watch takes packages out of the drop folder.
//
//	releases/visits-2.0.0.tpk ──complete──▶ Handler ──▶ store, release vN, and an upgrade if the rule says auto
//	         └── refused ──▶ releases/rejected/visits-2.0.0.tpk and .reason
//
// A file counts when it is called NAME-VERSION.tpk. One that was renamed into the folder is whole and is taken at once.
// The folder is also read at start, every 30 seconds and when the kernel has dropped events. One that is still being
// copied is no whole package yet: a file is refused only when nobody has touched it for two seconds. What ends in .tpk and is not called so is refused too. Hidden
// files, signatures, folders and every other name are ignored. Each file is handled once; one that
// could not be handled for want of something else, as disk space, is tried again at the next reading. Accepted files
// stay where they are.
package watch

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	kernel "github.com/theseusd/theseus/sdk/watch"
	"github.com/theseusd/theseus/upgrades/release"
)

// Times of a Folder that are zero.
const (
	DefaultEvery  = 30 * time.Second
	DefaultSettle = 2 * time.Second
	DefaultGather = 50 * time.Millisecond
)

// Handler takes complete packages that came together, by name and then by version. For each that it did not take it
// says why: a *release.RejectError has the file set aside, any other error has it tried again later.
type Handler func(ctx context.Context, paths []string) map[string]error

// Folder is the drop folder. Dir and Handle are required.
type Folder struct {
	Dir    string
	Handle Handler
	Every  time.Duration // between two readings; DefaultEvery if 0
	Settle time.Duration // untouched that long is complete; DefaultSettle if 0
	Gather time.Duration // packages that arrive within it belong together; DefaultGather if 0
	Safe   func() error  // nothing is taken while it says why not; always safe if nil
	Logger *slog.Logger  // nothing is logged if nil

	open  func(dir string) (source, error) // of events; fsnotify's if nil
	now   func() time.Time                 // time.Now if nil
	seen  map[string]stamp
	come  map[string]bool  // not handled yet; true if nobody touches it any more
	young <-chan time.Time // when to look again at what may still be copied; nil if there is nothing
	worry string           // why nothing is taken; empty if it is
}

// Run watches until ctx ends. The folder is made if it is missing. Where the kernel cannot tell of files, the folder
// is only read every now and then, which the log says.
func (f *Folder) Run(ctx context.Context, ready func()) error {
	f.defaults()
	src, err := f.open(f.Dir)
	if err != nil {
		src = f.deafened(err)
	}
	defer func() { _ = src.Close() }()
	ready()
	f.rescan(ctx, src)
	return f.loop(ctx, &src)
}

// deafened goes on without events.
func (f *Folder) deafened(err error) source {
	f.Logger.Error("the kernel does not tell of new packages", "dir", f.Dir, "read_every", f.Every, "error", err)
	return deaf{f.Dir}
}

func (f *Folder) defaults() {
	f.Every = orDefault(f.Every, DefaultEvery)
	f.Settle = orDefault(f.Settle, DefaultSettle)
	f.Gather = orDefault(f.Gather, DefaultGather)
	if f.Logger == nil {
		f.Logger = slog.New(slog.DiscardHandler)
	}
	if f.open == nil {
		f.open = openNotify
	}
	if f.now == nil {
		f.now = time.Now
	}
	f.seen, f.come = map[string]stamp{}, map[string]bool{}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func (f *Folder) loop(ctx context.Context, src *source) error {
	tick := time.NewTicker(f.Every)
	defer tick.Stop()
	var gathered <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			f.rescan(ctx, *src)
		case <-f.young:
			f.young = nil
			f.rescan(ctx, *src)
		case <-gathered:
			gathered = nil
			f.handle(ctx)
		case e, ok := <-(*src).Events():
			if !ok {
				_ = (*src).Close()
				*src = f.deafened((*src).Err())
				continue
			}
			if f.note(ctx, *src, e) && gathered == nil {
				gathered = time.After(f.Gather)
			}
		}
	}
}

// note takes one event and says whether there is something to handle. That a file is written to is no news, since it is
// looked at again anyway until nobody touches it.
func (f *Folder) note(ctx context.Context, src source, e kernel.Event) bool {
	if e.Lost {
		f.Logger.Warn("the kernel has dropped events of the folder; reading it again", "dir", f.Dir)
		f.rescan(ctx, src)
		return false
	}
	if !e.Come || !ours(e.Name) {
		return false
	}
	f.come[e.Name] = false
	return true
}

// ours is true for a file that is meant for us, be its name right or wrong.
func ours(name string) bool {
	return strings.HasSuffix(name, release.Extension) && !strings.HasPrefix(name, ".")
}

// misnamed says why a file is no package though it is ours.
func misnamed(name string) *release.RejectError {
	if _, _, ok := split(name); ok {
		return nil
	}
	return &release.RejectError{
		File: name, Reason: "a package is called NAME-VERSION.tpk, as visits-2.0.0.tpk", Hint: "give it its name, as reltool build does",
	}
}

// rescan reads the folder for files that no event has told of.
func (f *Folder) rescan(ctx context.Context, src source) {
	if err := src.Ensure(); err != nil {
		f.Logger.Error("cannot watch the drop folder", "dir", f.Dir, "error", err)
		return
	}
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		f.Logger.Error("cannot read the drop folder", "dir", f.Dir, "error", err)
		return
	}
	for _, e := range entries {
		f.consider(e)
	}
	f.handle(ctx)
}

// consider remembers an entry that is a package and was not seen before.
func (f *Folder) consider(e os.DirEntry) {
	if !ours(e.Name()) || !e.Type().IsRegular() || f.come[e.Name()] {
		return
	}
	info, err := e.Info()
	if err == nil && f.seen[e.Name()] != stampOf(info) {
		f.come[e.Name()] = f.now().Sub(touched(info)) >= f.Settle
	}
}

// handle gives everything that has come to the handler.
func (f *Folder) handle(ctx context.Context) {
	come := f.come
	f.come = map[string]bool{}
	if !f.safe() {
		return // what lies there is found again at the next reading
	}
	var paths []string
	for _, name := range slices.SortedFunc(maps.Keys(come), inOrder) {
		path := filepath.Join(f.Dir, name)
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() || f.seen[name] == stampOf(info) {
			continue
		}
		f.seen[name] = stampOf(info)
		if bad := misnamed(name); bad != nil {
			f.refused(path, bad, come[name])
			continue
		}
		paths = append(paths, path)
	}
	if len(paths) == 0 || ctx.Err() != nil {
		return
	}
	refused := f.Handle(ctx, paths)
	if ctx.Err() != nil {
		return // what was refused now is found again at the next start
	}
	for _, path := range paths {
		if err, no := refused[path]; no {
			f.refused(path, err, come[filepath.Base(path)])
		} else if err := release.Forgive(path); err != nil {
			f.Logger.Error("a refused package of that name stays", "package", path, "error", err)
		}
	}
}

// safe says whether packages may be taken at all. The log tells of each change once.
func (f *Folder) safe() bool {
	worry := ""
	if f.Safe != nil {
		if err := f.Safe(); err != nil {
			worry = err.Error()
		}
	}
	switch {
	case worry == f.worry:
	case worry != "":
		f.Logger.Error("the drop folder takes nothing", "dir", f.Dir, "because", worry)
	default:
		f.Logger.Info("the drop folder takes packages again", "dir", f.Dir)
	}
	f.worry = worry
	return worry == ""
}

// refused sets a bad package aside, and forgets one that is to be tried again.
func (f *Folder) refused(path string, err error, complete bool) {
	delete(f.seen, filepath.Base(path))
	var bad *release.RejectError
	switch {
	case !errors.As(err, &bad):
		f.Logger.Error("a package could not be taken; it is tried again", "package", path, "error", err)
	case !complete:
		f.young = time.After(f.Settle)
	default:
		f.setAside(path, bad)
	}
}

func (f *Folder) setAside(path string, bad *release.RejectError) {
	f.Logger.Warn("package refused", "package", filepath.Base(path), "reason", bad.Reason, "hint", bad.Hint)
	if err := release.Reject(path, bad); err != nil {
		f.Logger.Error("the refused package stays where it is", "package", path, "error", err)
	}
}
