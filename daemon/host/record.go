package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/theseusd/theseus/daemon/internal/proc"
	"github.com/theseusd/theseus/daemon/keel"
	"github.com/theseusd/theseus/upgrades/release"
)

// record is what the next daemon needs to attach to a process: run/NAME-VERSION-PID.json.
type record struct {
	proc.ID
	Service   string    `json:"service"`
	Version   string    `json:"version"`
	Digest    string    `json:"digest"`
	Addr      string    `json:"addr"`     // of its unix socket for us
	Protocol  int       `json:"protocol"` // negotiated; a re-attach does not negotiate
	Started   time.Time `json:"started"`
	Listeners []bound   `json:"listeners"`

	Settings release.Settings `json:"settings,omitempty"` // as its release has them
}

// bound is a listener that the process inherited.
type bound struct {
	keel.Address
	Real string `json:"real"` // with the port that the kernel chose
}

func (r record) name() string { return fmt.Sprintf("%s-%s-%d", r.Service, r.Version, r.PID) }

func (r record) path(run string) string { return filepath.Join(run, r.name()+".json") }

// write is atomic: a reader sees the whole record or none.
func (r record) write(run string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	tmp := r.path(run) + ".tmp"
	if err := os.WriteFile(tmp, text, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, r.path(run))
}

// forget removes the record and the sockets of a process that is gone.
func (r record) forget(run string) {
	_ = os.Remove(r.path(run))
	pairs, _ := filepath.Glob(filepath.Join(run, fmt.Sprintf("%s%d-*", pairPrefix, r.PID)))
	for _, path := range pairs {
		_ = os.Remove(path)
	}
	if filepath.Dir(r.Addr) == run {
		_ = os.Remove(r.Addr)
	}
}

// readRecords reads all records. A file that is none was cut short by a power loss, together with its process: it is
// removed.
func readRecords(run string) ([]record, error) {
	paths, err := filepath.Glob(filepath.Join(run, "*-*-*.json"))
	if err != nil {
		return nil, err
	}
	var list []record
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its process has just ended
		}
		if err != nil {
			return nil, err
		}
		var r record
		if json.Unmarshal(text, &r) != nil || r.path(run) != path {
			_ = os.Remove(path)
			continue
		}
		list = append(list, r)
	}
	return list, nil
}

// sweepFiles removes sockets and other leftovers of processes that are not among the live ones.
func sweepFiles(run string, live []record) error {
	entries, err := os.ReadDir(run)
	if err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, r := range live {
		keep[filepath.Base(r.Addr)] = true
	}
	for _, e := range entries {
		name := e.Name()
		if keep[name] || !leftover(name) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(run, name)); err != nil {
			return err
		}
	}
	return nil
}

// sweepSockets removes the socket of a process that died before it said where it listens: one that was made since then
// and that nobody answers at, now and a moment later. Others that start at the same time listen at theirs.
func (h *Host) sweepSockets(since time.Time) {
	dead := deadSockets(h.o.Run, since)
	if len(dead) == 0 {
		return
	}
	select {
	case <-h.life.Done():
		return
	case <-time.After(deathTime):
	}
	for _, path := range deadSockets(h.o.Run, since) {
		if slices.Contains(dead, path) {
			_ = os.Remove(path)
		}
	}
}

// deadSockets lists the sockets of services at which nobody listens.
func deadSockets(run string, since time.Time) (list []string) {
	paths, _ := filepath.Glob(filepath.Join(run, socketPrefix+"[0-9]*"))
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil || info.ModTime().Before(since.Add(-deathTime)) {
			continue
		}
		conn, err := net.Dial("unix", path)
		if err == nil {
			_ = conn.Close()
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			list = append(list, path)
		}
	}
	return list
}

// leftover tells files that belong to a process, or to the writing of one file, from those that stay.
func leftover(name string) bool {
	return strings.HasPrefix(name, socketPrefix) || strings.HasPrefix(name, pairPrefix) ||
		strings.HasSuffix(name, ".json.tmp")
}

const (
	socketPrefix = "plugin" // go-plugin's choice
	pairPrefix   = "pair-"
)
