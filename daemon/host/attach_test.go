package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/theseusd/theseus/daemon/internal/proc"
	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades"
)

func TestStraysAndTheSilentAreKilled(t *testing.T) {
	t.Setenv("THESEUS_TEST", "stray")
	dir := testDir(t)
	killedDaemon(t, dir)
	running, err := proc.Running(filepath.Join(dir, "store"))
	if err != nil || len(running) != 2 {
		t.Fatalf("running %v (%v)", running, err)
	}
	f := newFixture(t, dir)
	if list := f.attached(); len(list) != 1 || list[0].Package().Version != "1.0.0" {
		t.Fatalf("attached %v", list)
	}
	in := f.Instances("fake")[0].(*instance)
	f.signal(in, syscall.SIGSTOP)
	g := newFixture(t, dir)
	g.o.Patience = time.Second
	g.attached()
	if left := g.Take("fake"); left != nil {
		t.Errorf("a process that does not answer is attached: %v", left)
	}
	for _, id := range running {
		f.gone(id)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "run", "plugin*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestRecordsOfTheDeadAreSwept(t *testing.T) {
	dir := testDir(t)
	id := killedDaemon(t, dir)
	running, err := proc.Running(filepath.Join(dir, "store"))
	if err != nil || proc.Kill(t.Context(), running...) != nil {
		t.Fatal(id, err)
	}
	run := filepath.Join(dir, "run")
	if err := os.WriteFile(filepath.Join(run, "fake-1.0.0-1.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, dir)
	if list := f.attached(); len(list) != 0 {
		t.Errorf("attached %v", list)
	}
	for _, pattern := range []string{"fake-*", "plugin*", "pair-*"} {
		if left, _ := filepath.Glob(filepath.Join(run, pattern)); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

// A process that stands still for longer than a daemon waits at its start is not killed for it.
func TestOneThatWasSilentForAWhileIsAttachedLater(t *testing.T) {
	dir := testDir(t)
	id := killedDaemon(t, dir)
	running, err := proc.Running(filepath.Join(dir, "store"))
	if err != nil || len(running) != 1 {
		t.Fatalf("running %v (%v)", running, err)
	}
	f := newFixture(t, dir)
	stand(t, running[0], syscall.SIGSTOP)
	if err := f.Look(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("a look at a silent process: %v", err)
	}
	if list := f.attached(); len(list) != 0 {
		t.Fatalf("attached %v", list)
	}
	f.until("that it is waited for", func(s control.ServiceStatus) bool {
		return s.State == stateStarting && strings.Contains(s.Reason, "does not answer")
	})
	taken := make(chan upgrades.Instance)
	go func() { taken <- f.Take("fake") }()
	stand(t, running[0], syscall.SIGCONT)
	if in := <-taken; in == nil || in.ID() != id {
		t.Errorf("taken %v, want %s", in, id)
	}
	if err := f.Look(t.Context()); err != nil {
		t.Errorf("a look at a process that answers: %v", err)
	}
}

func stand(t *testing.T, id proc.ID, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(id.PID, s); err != nil {
		t.Fatal(err)
	}
}

func TestReapEndsWhatRecordsNameAndNothingElse(t *testing.T) {
	t.Setenv("THESEUS_TEST", "stray")
	dir, other := testDir(t), testDir(t)
	killedDaemon(t, dir)
	killedDaemon(t, other)
	mine, err := proc.Running(filepath.Join(dir, "store"))
	if err != nil || len(mine) != 2 {
		t.Fatalf("running %v (%v)", mine, err)
	}
	stand(t, mine[0], syscall.SIGSTOP)
	run := filepath.Join(dir, "run")
	var said []string
	if err := Reap(context.Background(), run, func(s string) { said = append(said, s) }, filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	for _, id := range mine {
		if id.Alive() {
			t.Errorf("pid %d lives on", id.PID)
		}
	}
	if theirs, err := proc.Running(filepath.Join(other, "store")); err != nil || len(theirs) != 2 {
		t.Errorf("of another instance run %v (%v)", theirs, err)
	}
	if left, err := os.ReadDir(run); err != nil || len(left) > 0 {
		t.Errorf("left: %v (%v)", left, err)
	}
	if text := fmt.Sprint(said); !strings.Contains(text, "fake 1.0.0") || !strings.Contains(text, "which no record names") {
		t.Errorf("it said %s", text)
	}
}
