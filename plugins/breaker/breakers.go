package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/theseusd/theseus/plugins/breaker/internal/circuit"
	"github.com/theseusd/theseus/sdk/clock"
	"github.com/theseusd/theseus/sdk/state"
)

const (
	maxBreakers = 10_000
	forgetAfter = 24 * time.Hour // a circuit that nobody has set up or forced, and nobody calls
	lookEvery   = 100 * time.Millisecond
)

// What a caller has done wrong.
var (
	errName = errors.New("a name has 1 to 128 letters, digits and . _ : / -")
	errMany = fmt.Errorf("there are %d circuits already", maxBreakers)
)

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$`)

func checkName(name string) error {
	if !nameForm.MatchString(name) {
		return errName
	}
	return nil
}

// breakers is the table of circuits. Whoever changes one holds its lock.
type breakers struct {
	rows  *state.Table[circuit.Circuit]
	story *story
	cfg   config
	log   *slog.Logger
	clock *clock.Clock
	locks [256]sync.Mutex
	seed  maphash.Seed

	mu    sync.Mutex
	awake map[string]bool // circuits that time alone may move
}

func newBreakers(r state.Registrar, cfg config, log *slog.Logger) *breakers {
	cfg.Default = cfg.Default.Over(circuit.DefaultSettings)
	return &breakers{
		rows:  state.NewTable(r, "circuits", state.Schema[circuit.Circuit]{Name: "circuit", Version: 1}),
		story: newStory(r), cfg: cfg, log: log, clock: clock.New(), seed: maphash.MakeSeed(),
	}
}

// ready finds out what time alone may move.
func (b *breakers) ready() error {
	awake := map[string]bool{}
	err := b.rows.Range(func(name string, c circuit.Circuit) bool {
		if moves(c) {
			awake[name] = true
		}
		return true
	})
	b.mu.Lock()
	b.awake = awake
	b.mu.Unlock()
	return errors.Join(err, b.story.ready())
}

// moves tells whether time alone may move a circuit: a cooldown ends, or the lease of a probe does.
func moves(c circuit.Circuit) bool { return c.State == circuit.Open || len(c.Probes) > 0 }

// run moves circuits whose time has come, so that watchers learn of it though nobody asks.
func (b *breakers) run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := b.moveAll()
		if err != nil && !failing {
			b.log.Error("circuits stay as they are for now", "error", err)
		}
		failing = err != nil
	}
}

// moveAll moves what is due. What cannot be kept now, on a full disk, is moved when it is called next.
func (b *breakers) moveAll() error {
	var failed error
	for _, name := range b.restless() {
		switch err := b.touch(name); {
		case errors.Is(err, state.ErrNotWriter):
			return nil
		case errors.Is(err, state.ErrNoSpace):
			return err
		case err != nil:
			failed = fmt.Errorf("%s: %w", name, err)
		}
	}
	return failed
}

// touch has happen to a circuit what is due.
func (b *breakers) touch(name string) error {
	_, err := b.change(name, func(*circuit.Turn) error { return nil })
	return err
}

func (b *breakers) restless() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	names := make([]string, 0, len(b.awake))
	for name := range b.awake {
		names = append(names, name)
	}
	return names
}

// settings are those of a circuit: its own, those of the configuration, the defaults.
func (b *breakers) settings(name string, c circuit.Circuit) circuit.Settings {
	s := b.cfg.Breakers[name].Over(b.cfg.Default)
	if c.Own != nil {
		s = c.Own.Over(s)
	}
	return s
}

// change is one call on a circuit. It is in the log when change returns.
func (b *breakers) change(name string, f func(t *circuit.Turn) error) (*circuit.Turn, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	mu := &b.locks[uint8(maphash.String(b.seed, name))]
	mu.Lock()
	defer mu.Unlock()
	before, there, err := b.rows.Lookup(name)
	if err != nil {
		return nil, err
	}
	t := before.At(b.settings(name, before), b.clock.Now(), rand.Float64())
	failed := f(t)
	if err := b.keep(name, before, there, t); err != nil {
		return nil, err
	}
	return t, failed
}

// keep writes what has changed, the circuit and its story all or none, and tells those who watch.
func (b *breakers) keep(name string, before circuit.Circuit, there bool, t *circuit.Turn) error {
	if len(t.Changes) == 0 && same(before, t.Circuit) {
		return nil
	}
	if !there && b.rows.Len() >= maxBreakers {
		return errMany
	}
	var writes state.Batch
	if err := b.rows.PutIn(&writes, name, t.Circuit, end(t.Circuit)); err != nil {
		return err
	}
	if err := b.story.commit(&writes, name, t.Changes); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if moves(t.Circuit) {
		b.awake[name] = true
	} else {
		delete(b.awake, name)
	}
	return nil
}

// end is when a circuit is forgotten, unless it is called before; the zero time is never.
func end(c circuit.Circuit) time.Time {
	rests := c.State == circuit.Closed || c.State == circuit.HalfOpen && len(c.Probes) == 0
	if !rests || c.Own != nil {
		return time.Time{}
	}
	return time.Now().Add(forgetAfter)
}

// same compares what a call without a change of state may have changed.
func same(x, y circuit.Circuit) bool {
	return x.State == y.State && x.Streak == y.Streak && x.Window == y.Window && x.Passed == y.Passed && x.Own == y.Own &&
		slices.Equal(x.Probes, y.Probes)
}

// permit asks whether a call may be made.
func (b *breakers) permit(name string) (p circuit.Permit, t *circuit.Turn, err error) {
	t, err = b.change(name, func(t *circuit.Turn) error {
		p = t.Permit(max(rand.Uint64(), 1))
		return nil
	})
	return p, t, err
}

// report tells how a call went.
func (b *breakers) report(name string, r circuit.Report) (*circuit.Turn, error) {
	return b.change(name, func(t *circuit.Turn) error { return t.Report(r) })
}

// force brings a circuit into a forced state, or out of it.
func (b *breakers) force(name string, e circuit.Event) (*circuit.Turn, error) {
	return b.change(name, func(t *circuit.Turn) error { t.Force(e); return nil })
}

// set gives a circuit settings of its own; none takes them back.
func (b *breakers) set(name string, own circuit.Settings) error {
	_, err := b.change(name, func(t *circuit.Turn) error {
		if own == (circuit.Settings{}) {
			t.Own = nil
			return nil
		}
		if err := own.Over(b.cfg.Breakers[name].Over(b.cfg.Default)).Check(); err != nil {
			return settingsError{err}
		}
		t.Own = &own
		return nil
	})
	if err != nil {
		return err
	}
	return b.touch(name) // it may stand elsewhere by these settings
}

type settingsError struct{ error }

func (e settingsError) Unwrap() error { return e.error }

// look is a circuit as it stands now; one that nobody has called is closed.
func (b *breakers) look(name string) (view, error) {
	if err := checkName(name); err != nil {
		return view{}, err
	}
	c, _, err := b.rows.Lookup(name)
	return b.viewOf(name, c), err
}

// list is all circuits by name.
func (b *breakers) list() (all []view, err error) {
	err = b.rows.Range(func(name string, c circuit.Circuit) bool {
		all = append(all, b.viewOf(name, c))
		return true
	})
	slices.SortFunc(all, view.order)
	return all, err
}
