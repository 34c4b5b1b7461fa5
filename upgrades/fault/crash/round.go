package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	matrix "github.com/theseusd/theseus/upgrades/fault"
)

const (
	playTime = 2 * time.Minute  // a scenario that has not ended then hangs
	lateTime = 15 * time.Second // the longest that somebody stands still
)

// round is one case on one instance.
type round struct {
	in     *instance
	s      scenario
	c      matrix.Case
	dice   *rand.Rand
	tag    string
	before []entry // of the journal
	told   error   // what the caller of the upgrade was told
	ended  chan struct{}
	slept  []proc // stand still until the others have given them up
	held   []proc
	trace  string // file, if the recovery is traced
	hit    int    // shots that were fired
	missed bool   // who stood still until its plan was made was taken for dead meanwhile: the machine is too busy
	began  time.Time
	took   time.Duration // until the instance was whole
}

func (in *instance) round(s scenario, c matrix.Case, seed uint64) *round {
	in.tags++
	return &round{in: in, s: s, c: c, dice: matrix.Dice(seed, c), tag: fmt.Sprintf("c%d", in.tags), ended: make(chan struct{})}
}

// run plays the scenario with the case's shots and returns what is wrong with the instance in the end.
func (r *round) run(ctx context.Context) (err error) {
	ctx, stop := context.WithTimeout(ctx, playTime)
	defer stop()
	defer r.letGo()
	if r.before, err = r.in.records(); err != nil {
		return err
	}
	r.in.client.mark()
	if err := r.arm(0); err != nil {
		return err
	}
	r.began = time.Now()
	go func() { defer close(r.ended); r.told = r.in.play(ctx, r.s) }()
	for i := range r.c.Shots {
		if hit, err := r.shoot(ctx, i); err != nil || !hit {
			if err != nil {
				return err
			}
			break
		}
		r.hit++
	}
	r.wakeLate(ctx)
	select {
	case <-r.ended:
	case <-ctx.Done():
		return fmt.Errorf("the scenario does not end: %w", context.Cause(ctx))
	}
	if err := r.refused(); err != nil {
		return err
	}
	return r.in.inspect(ctx, r)
}

// refused is what a caller was told although nobody fell. How an upgrade ended is judged by the journal.
func (r *round) refused() error {
	if len(r.c.Shots) > 0 || r.s.upgrades() {
		return nil
	}
	return r.told
}

// arm makes the plan for a shot, or for the trace behind the last one.
func (r *round) arm(i int) error {
	switch {
	case i < len(r.c.Shots):
		at := r.c.Shots[i].At
		if gate := at.Gate(r.name(i) + "g"); gate != "" {
			return r.in.plan(gate)
		}
		return r.in.plan(r.trap(i))
	case r.trace != "":
		return r.in.plan("*=trace:" + r.trace + "#" + r.name(i))
	}
	return r.in.plan("")
}

func (r *round) name(i int) string { return fmt.Sprintf("%s-%d", r.tag, i) }

func (r *round) trap(i int) string {
	at := r.c.Shots[i].At
	return at.Trap(r.s.process(at.Role), r.name(i))
}

// shoot waits until the instant has come and lets the victims fall. It returns false if it does not come.
func (r *round) shoot(ctx context.Context, i int) (hit bool, err error) {
	shot, gated := r.c.Shots[i], 0
	if shot.At.Phase != "" {
		daemon, ok, err := r.await(ctx, r.name(i)+"g")
		if err != nil || !ok {
			return false, err
		}
		gated = daemon
		if err := r.in.plan(r.trap(i)); err != nil {
			return false, err
		}
		_ = syscall.Kill(daemon, syscall.SIGCONT)
	}
	there, ok, err := r.await(ctx, r.name(i))
	if err != nil || !ok {
		r.missed = gated > 0 && !slices.Contains(r.in.crowd().daemons, gated)
		return false, err
	}
	victims := r.victims(shot.Victim)
	if err := r.arm(i + 1); err != nil {
		return false, err
	}
	r.fell(shot, victims, there)
	return true, nil
}

// await returns the process that a plan has stopped. It returns false when all is over and nobody was.
func (r *round) await(ctx context.Context, name string) (pid int, ok bool, err error) {
	next := time.Now().Add(time.Second)
	for {
		changed := r.in.bell.next()
		if pid, ok := r.in.fired(name); ok {
			standing(pid)
			return pid, true, nil
		}
		if ctx.Err() != nil {
			return 0, false, fmt.Errorf("waiting for the instant: %w", context.Cause(ctx))
		}
		lull(ctx, changed, 0)
		if r.over() && time.Now().After(next) {
			next = time.Now().Add(100 * time.Millisecond)
			if r.in.quiet(ctx) == nil {
				return r.giveUp(ctx, name)
			}
		}
	}
}

// giveUp withdraws the plan. Somebody may have read it just before, and stand still while all is over: then the instant
// has come after all.
func (r *round) giveUp(ctx context.Context, name string) (pid int, ok bool, err error) {
	if err := r.in.plan(""); err != nil {
		return 0, false, err
	}
	_ = r.in.quiet(ctx) // a while
	pid, ok = r.in.fired(name)
	return pid, ok, nil
}

func (r *round) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// victims takes hold of those who are to fall and live.
func (r *round) victims(who matrix.Role) (list []proc) {
	c := r.in.crowd()
	var pids []int
	if who == matrix.Daemon || who == matrix.All {
		pids = append(pids, c.daemons...)
	}
	if who == matrix.Old || who == matrix.All {
		pids = append(pids, c.services[r.s.from]...)
	}
	if (who == matrix.New || who == matrix.All) && r.s.to != r.s.from {
		pids = append(pids, c.services[r.s.to]...)
	}
	for _, pid := range pids {
		if p, err := hold(pid); err == nil {
			list = append(list, p)
			r.held = append(r.held, p)
		}
	}
	return list
}

// fell lets the victims fall, and the one that is stopped at the instant go on unless it is among them.
func (r *round) fell(shot matrix.Shot, victims []proc, there int) {
	among := false
	for _, p := range victims {
		among = among || p.pid == there
		if shot.How == matrix.Kill {
			p.signal(syscall.SIGKILL)
		} else {
			p.signal(syscall.SIGSTOP)
		}
	}
	if !among {
		_ = syscall.Kill(there, syscall.SIGCONT)
	}
	switch shot.How {
	case matrix.Early:
		time.AfterFunc(300*time.Millisecond+time.Duration(r.dice.Int64N(int64(700*time.Millisecond))), func() { wake(victims) })
	case matrix.Late:
		r.slept = append(r.slept, victims...)
	}
}

func wake(list []proc) {
	for _, p := range list {
		p.signal(syscall.SIGCONT)
	}
}

// wakeLate wakes those who stand still when the others have given them up: when the upgrade has ended without them.
func (r *round) wakeLate(ctx context.Context) {
	until := time.Now().Add(lateTime)
	if !r.s.upgrades() {
		until = time.Now().Add(2 * silence)
	}
	for time.Now().Before(until) && !allGone(r.slept) && ctx.Err() == nil {
		changed := r.in.bell.next()
		if r.concluded() {
			break
		}
		lull(ctx, changed, 0)
	}
	if len(r.slept) == 0 || allGone(r.slept) {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(r.dice.Int64N(int64(time.Second)))):
		wake(r.slept)
	}
}

func allGone(list []proc) bool {
	for _, p := range list {
		if !p.gone() {
			return false
		}
	}
	return true
}

// concluded is true if the journal says how the round's upgrade ended.
func (r *round) concluded() bool {
	list, err := r.in.records()
	return err == nil && len(list) > len(r.before) && ends(list[len(list)-1].Kind)
}

// letGo leaves nobody standing still.
func (r *round) letGo() {
	for _, p := range r.held {
		p.signal(syscall.SIGCONT)
	}
	time.AfterFunc(2*time.Second, func() {
		for _, p := range r.held {
			p.close()
		}
	})
}

// lines reads the trace.
func (r *round) lines() ([]matrix.Line, error) {
	text, err := os.ReadFile(r.trace)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	return matrix.ReadTrace(strings.ToValidUTF8(string(text), "?"))
}
