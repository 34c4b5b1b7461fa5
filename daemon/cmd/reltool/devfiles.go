package main

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// files are those that a service is built of. They are looked at rather than announced by the kernel: that works on every
// file system and with every editor, and some hundred of them cost a millisecond.
type files struct {
	dir string

	mu      sync.Mutex
	folders []string
	others  []string // single files
	listed  int      // how often another list was found
}

// lookEvery is how often; a save counts once two looks have found the same.
const lookEvery = 40 * time.Millisecond

// listFormat is what `go list` prints of a package: the folder if it can be edited, its embedded files, its go.mod.
const listFormat = `{{if and (not .Standard) .Module}}{{if or .Module.Main (and .Module.Replace (not .Module.Replace.Version))}}` +
	`{{.Dir}}{{range .EmbedFiles}}|{{.}}{{end}}{{"\n"}}{{.Module.GoMod}}{{"\n"}}{{end}}{{end}}`

// list asks what the service imports. A source that does not compile imports what it did before.
func (f *files) list(ctx context.Context) {
	cmd := exec.CommandContext(ctx, "go", "list", "-e", "-deps", "-f", listFormat, ".")
	cmd.Dir = f.dir
	out, err := cmd.Output()
	folders, others := []string{f.dir}, []string{filepath.Join(f.dir, manifestName)}
	for _, line := range strings.Fields(string(out)) {
		parts := strings.Split(line, "|")
		if filepath.Base(parts[0]) == "go.mod" {
			others = append(others, parts[0], filepath.Join(filepath.Dir(parts[0]), "go.sum"))
			continue
		}
		folders = append(folders, parts[0])
		for _, name := range parts[1:] {
			others = append(others, filepath.Join(parts[0], name))
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		folders, others = append(folders, f.folders...), append(others, f.others...)
	}
	slices.Sort(folders)
	slices.Sort(others)
	folders, others = slices.Compact(folders), slices.Compact(others)
	if !slices.Equal(folders, f.folders) || !slices.Equal(others, f.others) {
		f.folders, f.others, f.listed = folders, others, f.listed+1
	}
}

// stamp is what a save changes of a file.
type stamp struct {
	size int64
	at   time.Time
}

// view is what was seen at one look.
type view struct {
	list  int // by which it was looked
	files map[string]stamp
}

// same is true if nothing was saved in between. What a newer list has brought was not saved.
func (v view) same(now view) bool {
	if v.list == now.list {
		return maps.Equal(v.files, now.files)
	}
	for path, s := range v.files {
		if there, ok := now.files[path]; ok && there != s {
			return false
		}
	}
	return true
}

// look reads what is there now.
func (f *files) look() view {
	f.mu.Lock()
	folders, others, list := f.folders, f.others, f.listed
	f.mu.Unlock()
	seen := map[string]stamp{}
	for _, folder := range folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue // it is gone, or will be back
		}
		for _, e := range entries {
			if isSource(e.Name()) {
				see(seen, filepath.Join(folder, e.Name()))
			}
		}
	}
	for _, path := range others {
		see(seen, path)
	}
	return view{list: list, files: seen}
}

func see(seen map[string]stamp, path string) {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		seen[path] = stamp{size: info.Size(), at: info.ModTime()}
	}
}

// isSource leaves out tests, and what editors and tools hide.
func isSource(name string) bool {
	return filepath.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, ".") &&
		!strings.HasPrefix(name, "_")
}

// watch tells of saves until ctx ends.
func (f *files) watch(ctx context.Context, saved chan<- struct{}) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	known := f.look()
	before := known
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := f.look()
		if before.same(now) {
			if !known.same(now) {
				select {
				case saved <- struct{}{}:
				default: // one is waiting already
				}
			}
			known = now
		}
		before = now
	}
}
