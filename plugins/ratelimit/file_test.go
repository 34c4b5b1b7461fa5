package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/state"
)

func openStore(t testing.TB, dir string) *state.Store {
	t.Helper()
	s, err := state.Open(dir, state.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// shelf is the policies over a log, and a file of them.
type shelf struct {
	*policies
	t     testing.TB
	store *state.Store
	path  string
	log   bytes.Buffer
}

// openShelf reads the log in dir and does not write it yet.
func openShelf(t testing.TB, dir, path string) *shelf {
	t.Helper()
	s := &shelf{t: t, store: openStore(t, dir), path: path}
	s.policies = newPolicies(s.store, path, slog.New(slog.NewTextHandler(&s.log, nil)))
	if _, err := s.store.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shelf) activate() {
	s.t.Helper()
	if _, err := s.store.Activate(s.t.Context(), nil); err != nil {
		s.t.Fatal(err)
	}
}

// start makes the log writable, and takes the file.
func (s *shelf) start() *shelf {
	s.t.Helper()
	s.activate()
	if err := s.begin(); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// write writes the file, and has it looked at.
func (s *shelf) write(text string) {
	s.t.Helper()
	if err := os.WriteFile(s.path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.look()
}

// want tells how much the policy api allows, 0 for none, and what is wrong with the file.
func (s *shelf) want(limit int64, wrong string) {
	s.t.Helper()
	r, _ := s.find("api")
	if err := s.file.err; r.Limit != limit || (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
		s.t.Errorf("api allows %d, want %d; the file: %v, want %q", r.Limit, limit, err, wrong)
	}
}

func apiOf(limit string) string {
	return "[[policy]]\nname = \"api\"\nlimit = " + limit + "\nper = \"1h\""
}

// A file that is spoilt or lost changes nothing, over a restart either; a good one counts at once.
func TestThePoliciesThatWereGoodLastAreKept(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "policies.toml")
	s := openShelf(t, dir, path).start()
	s.write(apiOf("20"))
	s.want(20, "")
	s.write(apiOf(`"many"`))
	s.want(20, "policies.toml:3: ")
	_ = s.store.Close()
	s = openShelf(t, dir, path).start()
	s.want(20, "policies.toml:3: ")
	if said := s.log.String(); !strings.Contains(said, "those that were good last") {
		t.Error(said)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.look()
	s.want(20, "no such file")
	s.write(apiOf("4"))
	s.want(4, "")
	s.write("")
	s.want(0, "")
	_ = s.store.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	openShelf(t, dir, path).start().want(0, "no such file") // the empty file was good last
}

// A file that could not be kept was put in force by the next change by hand, while it was said not to be, and was never
// tried again.
func TestAFileThatCannotBeKeptIsTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies.toml")
	s := openShelf(t, t.TempDir(), path).start()
	s.write(apiOf("20"))
	if err := s.store.Release(); err != nil { // nothing can be written now
		t.Fatal(err)
	}
	s.write(apiOf("7"))
	s.want(20, state.ErrNotWriter.Error())
	s.activate()
	if err := s.set(standard); err != nil {
		t.Fatal(err)
	}
	s.want(20, state.ErrNotWriter.Error())
	s.look()
	s.want(7, "")
}

// A file that has not changed is in force from the start, whether or not anything can be written.
func TestAFileThatIsKeptIsNotWrittenAgain(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "policies.toml")
	s := openShelf(t, dir, path).start()
	s.write(apiOf("20"))
	_ = s.store.Close()
	s = openShelf(t, dir, path)
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	s.want(20, "")
}

// The log spoke of policies that were good last at a first start, when there are none.
func TestAFirstStartWithABadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policies.toml")
	if err := os.WriteFile(path, []byte(apiOf("-1")), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openShelf(t, t.TempDir(), path).start()
	s.want(0, "policies.toml:3: ")
	if said := s.log.String(); !strings.Contains(said, "none that were good before") {
		t.Error(said)
	}
}
