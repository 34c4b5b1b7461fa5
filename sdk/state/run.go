package state

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	followEvery = time.Millisecond      // how often a follower looks at the tail while the log grows
	followRest  = 16 * time.Millisecond // and while nothing is written
	watchEvery  = 10 * time.Millisecond // how often a writer looks whether it was fenced
	tendEvery   = time.Second           // how often a writer looks whether the log should be compacted
)

// Follow keeps the store up with the log for as long as it is a follower, and does the work beside it: it removes
// expired rows, prepares segments ahead of their use and, on a writer, compacts. It ends with the cause of ctx, or
// with the error that makes it impossible to go on. It is called once, after Load.
func (s *Store) Follow(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, work := range []func(context.Context) error{s.followLoop, s.sweepLoop, s.prepareLoop, s.tendLoop} {
		g.Go(func() error { return work(ctx) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

func (s *Store) followLoop(ctx context.Context) error {
	for {
		every, err := watchEvery, error(nil)
		if !s.Writer() {
			every, err = s.look(ctx)
		}
		if err == nil {
			err = s.idle(ctx, every)
		}
		if err != nil {
			return err
		}
	}
}

// look reads what is new in the log, and returns when to look again. Whoever has found nothing may find later what is
// written in the meantime: that is less than what a standby may lag behind, and a switch reads it besides.
func (s *Store) look(ctx context.Context) (again time.Duration, err error) {
	g, off, _ := s.cursor.get()
	if err := s.catchUp(ctx); err != nil {
		return 0, err
	}
	if now, end, _ := s.cursor.get(); now == g && end == off {
		return followRest, nil
	}
	return followEvery, nil
}

// catchUp reads what is new in the log.
func (s *Store) catchUp(ctx context.Context) error {
	s.yieldFenced()
	for {
		if more, err := s.catchUpSegment(ctx); err != nil || !more {
			return err
		}
	}
}

// catchUpSegment reads to the end of one segment, and lets others who want to move the cursor come between.
func (s *Store) catchUpSegment(ctx context.Context) (more bool, err error) {
	s.follow.Lock()
	defer s.follow.Unlock()
	if s.closed.Load() {
		return false, ErrClosed
	}
	if s.Writer() {
		return false, nil
	}
	_, more, err = s.advanceSegment(ctx)
	return more, err
}

// idle waits, or until the role has changed.
func (s *Store) idle(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
	case <-s.wake:
	}
	return nil
}

func (s *Store) sweepLoop(ctx context.Context) error {
	for {
		if err := pause(ctx, sweepEvery); err != nil {
			return err
		}
		for _, t := range s.all() {
			t.sweep(s.now())
		}
	}
}

// prepareLoop keeps a spare segment ready on a follower and the next segment on a writer, so that neither the switch
// nor a write has to make one.
func (s *Store) prepareLoop(ctx context.Context) error {
	for {
		if err := s.prepareAhead(); err != nil {
			s.o.Logger.Warn("no segment could be prepared ahead; it will be tried again", "error", err)
		}
		t := time.NewTimer(tendEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		case <-s.w.half:
		}
		t.Stop()
	}
}

func (s *Store) prepareAhead() error {
	if s.closed.Load() {
		return nil
	}
	if err := errors.Join(s.dropStale(), s.prepareSpare()); err != nil {
		return err
	}
	next, err := s.publishAhead()
	if next == nil || err != nil {
		return err
	}
	s.mapped.RLock()
	defer s.mapped.RUnlock()
	next.touch(next.size)
	return nil
}

// publishAhead makes the spare segment the next one of a writer that has filled half of the active one. Writers wait
// for it only if they reach the end meanwhile.
func (s *Store) publishAhead() (*segment, error) {
	w := &s.w
	w.making.Lock() // nobody may take its file for a stray meanwhile
	defer w.making.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	active, g := w.active, w.spare
	if active == nil || g == nil || w.next != nil || word(active.commit().Load()).position() < active.size/2 {
		return nil, nil
	}
	w.spare, w.publishing = nil, true
	w.mu.Unlock()
	err := s.place(g, active.id.next(), active.id, 0)
	w.mu.Lock()
	w.publishing = false
	w.published.Broadcast()
	switch {
	case err != nil:
		s.giveBack(g)
		return nil, err
	case w.active != active: // fenced meanwhile
		w.stale = append(w.stale, g)
		return nil, nil
	}
	w.next = g
	return g, nil
}
