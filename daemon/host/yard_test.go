package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/daemon/keel"
	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// yard is a host in virtual time, whose processes are not real. It keeps a diary of what starts and ends.
type yard struct {
	*testing.T
	*Host

	mu     sync.Mutex
	diary  []string
	made   int
	broken map[string]bool          // services that do not start
	slow   map[string]time.Duration // to start
	deaf   map[string]bool          // do not stop until they are killed
	live   map[string]*hull         // the last one of each service
	hulls  []*hull
	events []string
}

// hull is one process of a yard.
type hull struct {
	yard *yard
	pkg  release.Package
	n    int
	done chan struct{}
	how  string
}

// inYard runs a test in a bubble; all processes are gone when it ends.
func inYard(t *testing.T, f func(y *yard)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		y := &yard{T: t, broken: map[string]bool{}, slow: map[string]time.Duration{}, deaf: map[string]bool{}, live: map[string]*hull{}}
		y.Host = New(Options{Listeners: &sockets{retained: map[string][]keel.Address{}}, Note: y.note})
		y.Host.bring = y.bring
		f(y)
		y.Close()
		synctest.Wait()
	})
}

func (y *yard) note(e control.Event) {
	y.mu.Lock()
	defer y.mu.Unlock()
	text := e.Kind + " " + e.Service
	if e.Service == "" {
		text += e.Text
	}
	y.events = append(y.events, text)
}

func (y *yard) write(format string, args ...any) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.diary = append(y.diary, fmt.Sprintf(format, args...))
}

func (y *yard) pkg(name string) release.Package {
	return release.Package{
		Name: name, Version: "1.0.0",
		Manifest: &appup.Manifest{Name: name, Restart: appup.Restart{Intensity: 3, Period: appup.Duration(5 * time.Second)}},
	}
}

func (y *yard) bring(ctx context.Context, p release.Package) (upgrades.Instance, error) {
	y.mu.Lock()
	slow, broken := y.slow[p.Name], y.broken[p.Name]
	y.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(slow):
	}
	if broken {
		y.write("!%s", p.Name)
		return nil, errors.New("it is broken")
	}
	return y.launch(p.Name), nil
}

// launch makes a process that serves.
func (y *yard) launch(name string) *hull {
	y.write("+%s", name)
	y.mu.Lock()
	defer y.mu.Unlock()
	y.made++
	h := &hull{yard: y, pkg: y.pkg(name), n: y.made, done: make(chan struct{})}
	y.live[name] = h
	y.hulls = append(y.hulls, h)
	return h
}

// serve gives services that run.
func (y *yard) serve(names ...string) {
	for _, name := range names {
		y.Give(name, y.launch(name))
	}
	synctest.Wait()
	y.clear()
}

// die ends a process by itself, and waits until all is quiet.
func (y *yard) die(name, how string) {
	y.Helper()
	y.hull(name).end(how)
	synctest.Wait()
}

func (y *yard) hull(name string) *hull {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.live[name]
}

func (h *hull) end(how string) {
	h.yard.mu.Lock()
	defer h.yard.mu.Unlock()
	if !isDone(h) {
		h.how = how
		close(h.done)
	}
}

// set changes how the services of the yard behave.
func (y *yard) set(f func()) {
	y.mu.Lock()
	defer y.mu.Unlock()
	f()
}

func (y *yard) clear() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.diary, y.events = nil, nil
}

// wrote compares the diary since the last look.
func (y *yard) wrote(want string) {
	y.Helper()
	synctest.Wait()
	y.mu.Lock()
	defer y.mu.Unlock()
	if got := strings.Join(y.diary, " "); got != want {
		y.Errorf("what happened: %s\nwant:          %s", got, want)
	}
	y.diary = nil
}

// noted compares the events since the last look.
func (y *yard) noted(want ...string) {
	y.Helper()
	synctest.Wait()
	y.mu.Lock()
	defer y.mu.Unlock()
	if !slices.Equal(y.events, want) {
		y.Errorf("events %q\nwant   %q", y.events, want)
	}
	y.events = nil
}

// states is "a:running b:failed".
func (y *yard) states(want string) {
	y.Helper()
	synctest.Wait()
	var got []string
	for _, name := range y.names() {
		got = append(got, name+":"+y.service(name).view().State)
	}
	if text := strings.Join(got, " "); text != want {
		y.Errorf("states: %s\nwant:   %s", text, want)
	}
}

// tree declares supervisors; the services start in the order of their names.
func (y *yard) declare(sups map[string]release.Supervisor, members map[string]release.Member) {
	y.Helper()
	s := release.Supervision{Supervisors: sups, Services: members}
	if err := s.Check(); err != nil {
		y.Fatal(err)
	}
	services := release.Requires{}
	for _, name := range y.names() {
		services[name] = nil
	}
	y.Supervise(s, s.Order(services))
	synctest.Wait()
}

func sup(strategy supervise.Strategy, intensity int, children ...string) release.Supervisor {
	return release.Supervisor{
		Strategy: strategy, Intensity: intensity, Period: appup.Duration(5 * time.Second), Children: children,
	}
}

var _ upgrades.Instance = (*hull)(nil)

func (h *hull) ID() string                   { return fmt.Sprintf("%s-%d", h.pkg.Name, h.n) }
func (h *hull) Package() release.Package     { return h.pkg }
func (h *hull) Describe() describe.Service   { return describe.Service{Name: h.pkg.Name} }
func (h *hull) Done() <-chan struct{}        { return h.done }
func (h *hull) Exit() string                 { return h.how }
func (h *hull) Health(context.Context) error { return nil }
func (h *hull) Settle(context.Context) error { return nil }

func (h *hull) Status(context.Context) (upgrades.Status, error) {
	return upgrades.Status{Role: upgrades.Active}, nil
}

func (h *hull) Rehearse(context.Context, map[string]int32, func(upgrades.Progress)) (upgrades.Rehearsal, error) {
	return upgrades.Rehearsal{}, nil
}
func (h *hull) Pair(context.Context, upgrades.Instance) error { return nil }
func (h *hull) Shadow(context.Context, map[string]int32, bool, func(upgrades.Progress)) error {
	return nil
}

func (h *hull) Release(context.Context, time.Duration, bool) (upgrades.Released, error) {
	return upgrades.Released{}, nil
}

func (h *hull) Activate(context.Context, map[string]int32, bool) (upgrades.Activated, error) {
	return upgrades.Activated{}, nil
}

// Stop ends the process when it is asked, or when the time is over if it is deaf.
func (h *hull) Stop(ctx context.Context) error {
	how := "exit status 0"
	h.yard.mu.Lock()
	deaf := h.yard.deaf[h.pkg.Name]
	h.yard.mu.Unlock()
	if deaf {
		<-ctx.Done()
		how = "signal: killed"
	}
	if !isDone(h) {
		h.yard.write("-%s", h.pkg.Name)
	}
	h.end(how)
	return nil
}
