package serve

import (
	"context"
	"time"
)

// Park stops accepting and reading, and returns when nothing is in hand: no request is half read, no handler runs, no
// answer waits to be written. The listeners stay open; new clients wait in their queue.
//
// Requests that have been running for longer than budget learn of it at once through their context, whose cause is
// ErrParking; the others when half the budget is gone. Channels of Parking close at once. If work is still in hand
// after budget, or when ctx ends, Park undoes everything and returns ErrBusy; a connection whose context has ended
// then gets a new one for its next request.
//
// A parked group stays so until Arm, Finish or Hangup. Parking a parked group does nothing.
func (g *Group) Park(ctx context.Context, budget time.Duration) error {
	g.turn.Lock()
	defer g.turn.Unlock()
	switch g.is() {
	case parked:
		return nil
	case standby:
		return ErrNotServing
	}
	p := g.stopAll(budget)
	if g.drain(ctx, p, budget) {
		return nil
	}
	g.unpark()
	return ErrBusy
}

func (g *Group) is() phase {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.phase
}

// stopAll stops the listeners and every connection at its boundary. A listener that does not stop within budget counts
// as work in hand.
func (g *Group) stopAll(budget time.Duration) *park {
	p := newPark()
	g.mu.Lock()
	g.phase, g.park = parked, p
	close(*g.parking.Load())
	doors := g.doors
	g.mu.Unlock()
	closed := closeDoors(doors, budget)
	g.stopCollect()
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.live {
		c.stop(p)
	}
	if closed {
		p.settle()
	}
	return p
}

func closeDoors(doors map[string]*door, budget time.Duration) bool {
	limited, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	closed := true
	for _, d := range doors {
		closed = d.stop(limited.Done()) && closed
	}
	return closed
}

// drain waits until nothing is in hand; false if that takes too long.
func (g *Group) drain(ctx context.Context, p *park, budget time.Duration) bool {
	select {
	case <-p.quiet:
		return true
	default:
	}
	all, half := time.NewTimer(budget), time.NewTimer(budget/2)
	defer all.Stop()
	defer half.Stop()
	g.interrupt(false, budget)
	for {
		select {
		case <-p.quiet:
			return true
		case <-half.C:
			g.interrupt(true, budget)
		case <-all.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (g *Group) interrupt(force bool, budget time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.live {
		c.hurry(force, budget)
	}
}

// Unpark is Arm for a parked group: everything goes on where it stood.
func (g *Group) Unpark() error { return g.Arm() }

func (g *Group) unpark() {
	g.mu.Lock()
	if g.grace != nil {
		g.grace.Stop()
		g.grace = nil
	}
	g.mu.Unlock()
	early := g.resumeEarly()
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.park
	g.park = nil
	g.reopenParking()
	for c := range g.live {
		c.resume()
	}
	close(p.done)
	g.serve(early)
}

// standBy ends a park without serving. The group's lock is held.
func (g *Group) standBy() {
	g.phase, g.park = standby, nil
	g.reopenParking()
	g.events.stop()
}

// serve opens the doors and looks at the idle connections, once the handlers have been told of those that they want. The
// group's lock is held.
func (g *Group) serve(early woken) {
	g.phase = serving
	g.armed++
	g.startCollect()
	g.events.start()
	early.begin()
	g.rouse()
	for _, d := range g.doors {
		d.start()
		g.watchIdle(d)
	}
}
