package upgrades

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Names of steps in errors.
const (
	stepVerify   = "verify"
	stepListen   = "listen"
	stepServe    = "serve"
	stepStart    = "start"
	stepShadow   = "shadow"
	stepRehearse = "rehearse"
	stepPair     = "pair"
	stepFollow   = "follow"
	stepLetGo    = "let go"
	stepTakeOver = "take over"
	stepHealth   = "health"
	stepStop     = "stop"
	stepGate     = "gate"
	stepJournal  = "journal"
)

// prepare does everything that can be done while the old versions serve. They never notice.
func (f *flight) prepare(ctx context.Context) error {
	if err := f.verify(ctx); err != nil {
		return err
	}
	if err := f.reach(Verified, ""); err != nil {
		return err
	}
	f.take(ctx)
	ctx, stop := f.whileServing(ctx)
	defer stop()
	if err := f.each(ctx, f.listen); err != nil {
		return err
	}
	if err := f.each(ctx, f.start); err != nil {
		return err
	}
	if err := f.reach(Started, f.processes(ctx)); err != nil {
		return err
	}
	if err := f.rehearseAll(ctx); err != nil {
		return err
	}
	if err := f.each(ctx, f.follow); err != nil {
		return err
	}
	return f.reachWith(record{Event: f.event(string(Following)), Before: f.measure(ctx)})
}

// reach journals a state.
func (f *flight) reach(s State, text string) error {
	ev := f.event(string(s))
	ev.Text = text
	return f.reachWith(record{Event: ev})
}

func (f *flight) reachWith(rec record) error {
	if err := f.journal(rec); err != nil {
		return &StepError{Step: stepJournal, Err: err}
	}
	return nil
}

// each does a step for one service after another.
func (f *flight) each(ctx context.Context, step func(ctx context.Context, m *move) error) error {
	for _, m := range f.moves {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := step(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// verify reads each package of the release again. What the versions can do with each other was checked by the plan.
func (f *flight) verify(ctx context.Context) error {
	return f.each(ctx, func(_ context.Context, m *move) error {
		if m.New == "" {
			return nil
		}
		p, err := f.e.packageBy(f.e.store.Get, m.Service, m.newItem())
		if err != nil {
			return &StepError{Service: m.Service, Step: stepVerify, Err: err, Hint: "build the release again"}
		}
		m.to = p
		return nil
	})
}

// take suspends the supervision of the services that change.
func (f *flight) take(ctx context.Context) {
	f.taken = true
	for _, m := range f.moves {
		m.old = f.e.host.Take(m.Service)
		if m.Do == doStart {
			kill(ctx, m.old) // a leftover: no release that served has this service
			m.old = nil
		}
		if m.old == nil && m.Old != "" {
			m.old = Gone(m.from)
		}
		if m.live() && !alive(m.old) {
			m.Do = doRestart // nobody serves whose place a standby could take
		}
	}
}

// whileServing is a context that ends when an old version does or when somebody wants to go back.
func (f *flight) whileServing(ctx context.Context) (context.Context, func()) {
	ctx, end := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	for _, m := range f.moves {
		if !alive(m.old) {
			continue
		}
		wg.Go(func() {
			select {
			case <-m.old.Done():
				end(&StepError{Service: m.Service, Step: stepServe, Err: died(m.From, m.old)})
			case <-ctx.Done():
			}
		})
		if m.Do != doStop && len(shadows(m.old.Describe(), m.to.Describe)) > 0 {
			wg.Go(func() { f.watchRefused(ctx, m, m.old, end) })
		}
	}
	wg.Go(func() {
		select {
		case <-f.asked:
			end(&askedError{f.askBy})
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		end(nil)
		wg.Wait()
	}
}

// listen opens what the new version listens on, so that a port that is taken is found while the old one serves.
func (f *flight) listen(ctx context.Context, m *move) error {
	if m.New == "" {
		return nil
	}
	return f.call(ctx, m, stepListen, listenBudget, func(ctx context.Context) error { return f.e.host.Listen(ctx, m.to) })
}

// start brings the new version up as a standby. One that is older than what serves needs every row in its shape
// first.
func (f *flight) start(ctx context.Context, m *move) error {
	if err := f.shadow(ctx, m); err != nil {
		return err
	}
	if !m.live() && m.Do != doStart {
		return nil
	}
	f.tell(m, "starting", m.To)
	return f.bringUp(ctx, m)
}

func (f *flight) bringUp(ctx context.Context, m *move) error {
	return f.call(ctx, m, stepStart, m.forStart(), func(ctx context.Context) error {
		in, err := f.e.host.Start(ctx, m.to)
		if err == nil {
			m.new = in
		}
		return err
	})
}

func (f *flight) shadow(ctx context.Context, m *move) error {
	if !alive(m.old) || m.Do == doStop {
		return nil
	}
	if err := f.copyProcesses(ctx, m); err != nil {
		return err
	}
	versions := shadows(m.old.Describe(), m.to.Describe)
	if len(versions) == 0 {
		return nil
	}
	if err := f.rehearseDown(ctx, m, versions); err != nil {
		return err
	}
	m.shadowed = true
	return f.call(ctx, m, stepShadow, m.forShadow(), func(ctx context.Context) error {
		return m.old.Shadow(ctx, versions, true, f.progress(m, "shadowing"))
	})
}

// copyProcesses has the old version write what it has in memory alone, so that it is rehearsed as rows are.
func (f *flight) copyProcesses(ctx context.Context, m *move) error {
	if len(m.old.Describe().Processes) == 0 {
		return nil
	}
	m.shadowed = true
	return f.call(ctx, m, stepShadow, m.forShadow(), func(ctx context.Context) error {
		return m.old.Shadow(ctx, nil, true, f.progress(m, "copying"))
	})
}

func (f *flight) processes(ctx context.Context) string {
	var list []string
	for _, m := range f.moves {
		if m.new != nil {
			list = append(list, fmt.Sprintf("%s %s is %s", m.Service, m.To, m.new.ID())+f.beside(ctx, m))
		}
		for _, l := range m.Open {
			list = append(list, m.Service+" listens on "+l)
		}
	}
	return strings.Join(list, ", ")
}

// rehearseAll takes every row of every service that migrates up and down again.
func (f *flight) rehearseAll(ctx context.Context) error {
	ev := f.event(string(Rehearsed))
	rec := record{Event: ev, Rehearsals: map[string]sample{}}
	var texts []string
	err := f.each(ctx, func(ctx context.Context, m *move) error {
		if m.Do != doUpdate {
			return nil
		}
		r, s, err := f.rehearse(ctx, m)
		if err != nil {
			return err
		}
		rec.Rehearsals[m.Service] = s
		rec.Rows += r.Rows
		texts = append(texts, fmt.Sprintf("%s: %s", m.Service, rehearsed(r, m.below)))
		return nil
	})
	if err != nil {
		return err
	}
	rec.Text = strings.Join(texts, "; ")
	if err := f.journal(rec); err != nil {
		return &StepError{Step: stepJournal, Err: err}
	}
	return nil
}

// rehearsed says what a rehearsal has shown, and the one of the way down before it.
func rehearsed(r, below Rehearsal) string {
	var parts []string
	if below.Changed > 0 {
		parts = append(parts, cameBack(below, "down and up"))
	}
	if r.Changed > 0 {
		parts = append(parts, cameBack(r, "up and down"))
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%s read, none has another shape", plural(r.Rows, "row"))
	}
	return strings.Join(parts, ", ")
}

func cameBack(r Rehearsal, way string) string {
	text := fmt.Sprintf("%s %s again: identical", plural(r.Changed, "row"), way)
	if r.Lossy > 0 {
		text += fmt.Sprintf(" but for %s, as its Step declares", count(r.Lossy))
	}
	return text
}

func (f *flight) rehearse(ctx context.Context, m *move) (r Rehearsal, s sample, err error) {
	began := time.Now()
	err = f.call(ctx, m, stepRehearse, m.forRehearse(), func(ctx context.Context) error {
		r, err = m.new.Rehearse(ctx, nil, f.progress(m, "rehearsing"))
		return err
	})
	s = sample{Rows: max(r.Rows, m.below.Rows), Seconds: (time.Since(began) + m.belowTook).Seconds()}
	return r, s, err
}

// rehearseDown has the version that serves, which alone knows the way, take every row down to the older shapes and up
// again before it writes any of them.
func (f *flight) rehearseDown(ctx context.Context, m *move, versions map[string]int32) (err error) {
	began := time.Now()
	defer func() { m.belowTook = time.Since(began) }()
	return f.call(ctx, m, stepRehearse, m.forRehearse(), func(ctx context.Context) error {
		m.below, err = m.old.Rehearse(ctx, versions, f.progress(m, "rehearsing"))
		return err
	})
}

// follow sends connections ahead and waits until the standby is close behind.
func (f *flight) follow(ctx context.Context, m *move) error {
	if !m.live() {
		return nil
	}
	m.paired = true
	err := f.call(ctx, m, stepPair, pairBudget, func(ctx context.Context) error { return m.old.Pair(ctx, m.new) })
	if err != nil {
		return err
	}
	return f.call(ctx, m, stepFollow, m.forFollow(), func(ctx context.Context) error { return f.catchUp(ctx, m) })
}

func (f *flight) catchUp(ctx context.Context, m *move) error {
	for {
		s, err := m.new.Status(ctx)
		if err != nil {
			return err
		}
		if s.Unready != "" {
			return fmt.Errorf("%s could not write for long: %s", m.To, s.Unready)
		}
		if s.Lag < maxLag {
			return nil
		}
		if err := pause(ctx, lagPoll); err != nil {
			return errors.Join(err, fmt.Errorf("%s bytes behind", count(s.Lag)))
		}
	}
}
