package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
)

// Times of a trial.
const (
	gap        = 10 * time.Millisecond // between two faults; with a seed 1 to 20 ms
	shutdown   = 500 * time.Millisecond
	answerTime = 10 * time.Second // for a worker that is well
)

// trial is a plan under one strategy.
type trial struct {
	plan     Plan
	crew     crew
	workers  []*worker
	diary    *diary
	story    story
	sup      *supervise.Supervisor
	over     chan error // why the supervisor ended
	ended    bool
	stop     func() // ends the supervisor
	progress func(string)
	result   Trial
	times    []time.Duration
	faults   []fault
}

// fault is what the seed says of one crash.
type fault struct {
	victim int
	after  time.Duration
}

// faults are the same for every strategy.
func (p Plan) faults() []fault {
	r := rand.New(rand.NewPCG(p.Seed, 0x6c6162))
	list := make([]fault, p.Crashes)
	for i := range list {
		list[i] = fault{max(slices.Index(p.Names, p.Victim), 0), gap}
		if p.Seed > 0 {
			list[i].after = time.Millisecond + time.Duration(r.Int64N(int64(19*time.Millisecond)))
			if victim := r.IntN(p.Workers); p.Victim == "" {
				list[i].victim = victim
			}
		}
	}
	return list
}

// drawn chooses the workers whose timeline is kept: those that are hurt, and the first of the others.
func (p Plan) drawn(faults []fault) (names []string) {
	chosen := map[int]bool{}
	for _, f := range faults {
		if len(chosen) < MaxLanes {
			chosen[f.victim] = true
		}
	}
	for i := 0; i < p.Workers && len(chosen) < MaxLanes; i++ {
		chosen[i] = true
	}
	for i, name := range p.Names {
		if chosen[i] {
			names = append(names, name)
		}
	}
	return names
}

// run does the whole trial. An error says that it could not be done; what was seen until then is in the result.
func (t *trial) run(ctx context.Context) error {
	forget := context.AfterFunc(ctx, t.crew.abort)
	defer forget()
	err := t.begin(ctx)
	if err == nil {
		err = t.crashes(ctx)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return errors.Join(err, t.end())
}

// begin starts the supervisor and its workers.
func (t *trial) begin(ctx context.Context) error {
	flags := supervise.Flags{
		Strategy: t.plan.Strategy, Intensity: t.plan.Intensity, Period: t.plan.Period, Report: t.diary.report,
	}
	specs := make([]supervise.ChildSpec, t.plan.Workers)
	for i, name := range t.plan.Names {
		w := &worker{name: name}
		t.workers = append(t.workers, w)
		specs[i] = supervise.ChildSpec{ID: name, Start: w.begin(t.crew), Shutdown: shutdown}
	}
	first := specs
	if flags.Strategy == supervise.Dynamic {
		first = nil
	}
	var err error
	if t.sup, err = supervise.New(flags, first...); err != nil {
		return err
	}
	t.diary.window = t.sup.Restarts
	if err := t.up(ctx); err != nil {
		return err
	}
	for _, spec := range specs[len(first):] {
		if _, err := t.sup.StartChild(ctx, spec); err != nil {
			return err
		}
	}
	t.diary.look(func() { t.diary.serving = true })
	return nil
}

// up runs the supervisor.
func (t *trial) up(ctx context.Context) error {
	ready := make(chan struct{})
	running, stop := context.WithCancel(ctx)
	go func() {
		defer stop()
		t.over <- t.sup.Run(running, func() { close(ready) })
	}()
	t.stop = stop
	select {
	case <-ready:
		return nil
	case err := <-t.over:
		t.ended = true
		return err
	}
}

// crashes hurts one worker after another, until the plan is done or the supervisor has given up.
func (t *trial) crashes(ctx context.Context) error {
	for _, f := range t.faults {
		if err := pause(ctx, f.after); err != nil {
			return err
		}
		if err := t.crash(ctx, f.victim); err != nil {
			return fmt.Errorf("worker %s: %w", t.plan.Names[f.victim], err)
		}
		t.result.Crashes++
		t.progress(fmt.Sprintf("%s: %d of %d crashes", t.plan.Strategy, t.result.Crashes, t.plan.Crashes))
		if t.ended {
			return nil
		}
	}
	return pause(ctx, gap) // so that a timeline shows how the last one was
}

// crash hurts one worker, waits until the supervisor has done what it does, and sees who was restarted.
func (t *trial) crash(ctx context.Context, victim int) error {
	w := t.workers[victim]
	exits := 0
	t.diary.look(func() { t.diary.fresh, exits = nil, t.diary.exits[victim] })
	began := time.Now()
	if err := t.hurt(ctx, w); err != nil {
		return err
	}
	if err := t.await(ctx, func() bool { return t.diary.exits[victim] > exits }); err != nil {
		return err
	}
	if err := t.settle(ctx, w); err != nil {
		return err
	}
	restarted := t.diary.restarted()
	t.result.Restarts += len(restarted)
	if t.ended {
		t.story.crash(t.plan.hurt(w.name) + " -> supervisor gave up: " + t.tooMany())
		return nil
	}
	for _, i := range restarted {
		if err := t.answers(ctx, t.workers[i]); err != nil {
			return err
		}
	}
	t.times = append(t.times, time.Since(began))
	t.story.crash(t.plan.hurt(w.name) + " -> " + t.plan.restarted(victim, restarted) + t.plan.window(t.inside()))
	return nil
}

func (t *trial) inside() (n int) {
	t.diary.look(func() { n = t.diary.inside })
	return n
}

func (t *trial) tooMany() string {
	return fmt.Sprintf("more than %s within %s", count(t.plan.allowed(), "restart"), t.plan.Period)
}

// hurt does what the plan says. A supervisor sees only what ends: what hangs or leaks is noticed by asking, and killed.
func (t *trial) hurt(ctx context.Context, w *worker) error {
	w.prepare(t.plan.Fault)
	child, hand := w.now()
	t.diary.add(w.name, Hurt, string(t.plan.Fault))
	if err := hand.hurt(t.plan.Fault); err != nil {
		return err
	}
	if t.plan.Fault != Hang && t.plan.Fault != Leak {
		return nil
	}
	asking, stop := context.WithTimeout(ctx, Patience)
	defer stop()
	leaked, err := hand.ask(asking)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case t.plan.Fault == Hang && err == nil:
		return errors.New("it was to hang, and answers")
	case t.plan.Fault == Leak && (err != nil || leaked < Leaked):
		return fmt.Errorf("it was to leak, and says %d (%w)", leaked, err)
	}
	child.Kill()
	if t.plan.Fault == Hang && t.plan.Level != Plugin {
		t.diary.add(w.name, Orphaned, "")
	}
	return nil
}

// await waits until f is true, which looks at the diary.
func (t *trial) await(ctx context.Context, f func() bool) error {
	for {
		done := false
		t.diary.look(func() { done = f() })
		if done {
			return nil
		}
		select {
		case <-t.diary.news:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(answerTime):
			return errors.New("the supervisor does not notice what happened to it")
		}
	}
}

// settle returns when the supervisor has nothing left to do about the worker, or has ended.
func (t *trial) settle(ctx context.Context, w *worker) error {
	for {
		c, err := t.sup.Child(ctx, w.name)
		switch {
		case errors.Is(err, supervise.ErrNotRunning):
			t.ended = true
			if err := <-t.over; !errors.Is(err, supervise.ErrIntensity) {
				return err
			}
			return nil
		case err != nil:
			return err
		case c.State != supervise.Restarting:
			return nil
		}
	}
}

// answers waits for the first answer of a worker that was restarted.
func (t *trial) answers(ctx context.Context, w *worker) error {
	asking, stop := context.WithTimeout(ctx, answerTime)
	defer stop()
	_, hand := w.now()
	if _, err := hand.ask(asking); err != nil {
		return fmt.Errorf("%s does not answer after its restart: %w", w.name, err)
	}
	t.diary.add(w.name, Answered, "")
	return nil
}

// end stops what still runs, and tells the end of the story.
func (t *trial) end() error {
	t.diary.look(func() { t.result.Took = time.Since(t.diary.began).Seconds() })
	unharmed := t.unharmed()
	if !t.ended && t.stop != nil {
		t.stop()
		<-t.over
	}
	remains, err := t.crew.close()
	t.story.sumUp()
	t.tellEnd(unharmed)
	t.story.remains(remains)
	t.fill(remains)
	return err
}

// unharmed lists the workers that ran all the time.
func (t *trial) unharmed() (names []string) {
	t.diary.look(func() {
		for i, name := range t.plan.Names {
			if t.diary.up[i] && t.diary.starts[i] == 1 {
				names = append(names, name)
			}
		}
	})
	return names
}

func (t *trial) tellEnd(unharmed []string) {
	if t.ended {
		t.tellEscalation()
		return
	}
	if t.plan.Escalate && t.result.Crashes == t.plan.Crashes {
		t.story.tell(fmt.Sprintf("no escalation after %s: at most %s within %s, %d allowed", count(t.result.Crashes, "crash"),
			count(t.diary.most, "restart"), t.plan.Period, t.plan.allowed()))
	}
	t.story.unharmed(unharmed)
	t.result.Unharmed = len(unharmed)
}

// tellEscalation says that the supervisor gave up. It may have ended because a start failed or the run was given up.
func (t *trial) tellEscalation() {
	gaveUp := false
	t.diary.look(func() { gaveUp = t.diary.gaveUp > 0 })
	if gaveUp {
		t.story.tell(fmt.Sprintf("escalation after %s: all workers stopped, the parent of the supervisor decides",
			count(t.result.Crashes, "crash")))
	}
}

func (t *trial) fill(remains Remains) {
	r := &t.result
	r.Strategy, r.Story, r.Recovery, r.Remains = t.plan.Strategy.String(), t.story.lines, recovery(t.times), remains
	t.diary.look(func() {
		d := t.diary
		r.Counted, r.InWindow, r.Escalated = d.counted, d.most, d.gaveUp.Seconds()
		for _, name := range t.plan.Names {
			if events, drawn := d.lanes[name]; drawn {
				r.Lanes = append(r.Lanes, Lane{Worker: name, Events: events})
			}
		}
	})
	r.Others = t.plan.Workers - len(r.Lanes)
}
