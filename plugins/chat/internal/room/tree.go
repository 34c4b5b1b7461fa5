package room

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk/otp"
	"github.com/theseusd/theseus/sdk/supervise"
)

// How often a room may crash until it stays down.
const (
	Intensity = 3
	Period    = 5 * time.Second
)

// DownError says that a room is down, and why.
type DownError struct {
	Room   string
	Reason error
}

func (e *DownError) Error() string {
	return fmt.Sprintf("room %s is down (%v): %s", e.Room, e.Reason, e.Cure())
}

// Cure is what starts it again.
func (e *DownError) Cure() string { return "chatctl create room " + e.Room + " starts it again" }

// Unwrap gives the reason.
func (e *DownError) Unwrap() error { return e.Reason }

// tree supervises the rooms. Each has a supervisor of its own, so that a room that does not stop crashing takes no other
// along.
type tree struct {
	node  *otp.Node
	rooms *supervise.Supervisor // Dynamic: the supervisors of the rooms; of this time awake
	kind  *otp.Behaviour[process]
	tell  func(*Event)
	names func() ([]string, error)
	tidy  func(context.Context) error // what was left undone

	mu     sync.Mutex
	places map[string]*place
}

// place is where a room's process is.
type place struct {
	pid     otp.PID
	down    error         // why there is none
	changed chan struct{} // closed at the next change
}

// root is the first supervisor: that of the rooms, and what opens those that are in the log.
func (t *tree) root(n *otp.Node) (*supervise.Supervisor, error) {
	rooms, err := supervise.New(supervise.Flags{Strategy: supervise.Dynamic, Report: t.ended})
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	t.node, t.rooms, t.places = n, rooms, map[string]*place{}
	t.mu.Unlock()
	return supervise.New(supervise.Flags{Strategy: supervise.RestForOne},
		supervise.Sup("rooms", rooms),
		supervise.ChildSpec{ID: "opener", Start: supervise.Go(t.openAll)})
}

// openAll opens the rooms of the log. They are opened before, one by one, if somebody comes. A room that cannot be opened is
// down, and the others are not.
func (t *tree) openAll(ctx context.Context, ready func()) error {
	ready()
	names, err := t.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := t.open(ctx, name); err != nil && ctx.Err() == nil && !errors.Is(err, ErrNoRoom) {
			t.note(name, 0, err)
		}
	}
	_ = t.tidy(ctx) // what cannot be done now is done by whoever creates the room, or by the next start
	<-ctx.Done()
	return context.Cause(ctx)
}

// open starts a room under its supervisor; if it is there nothing happens.
func (t *tree) open(ctx context.Context, room string) error {
	t.mu.Lock()
	rooms := t.rooms
	t.mu.Unlock()
	if rooms == nil {
		return otp.ErrAsleep
	}
	sup, err := supervise.New(
		supervise.Flags{Intensity: Intensity, Period: Period, Report: func(r supervise.Report) { t.started(room, r) }},
		supervise.ChildSpec{ID: room, Start: otp.Child(t.node, t.kind, room, otp.Named(nameIn(room)))})
	if err != nil {
		return err
	}
	_, err = rooms.StartChild(ctx, supervise.ChildSpec{
		ID: room, Start: supervise.Go(sup.Run), Restart: supervise.Temporary, Kind: supervise.IsSupervisor,
	})
	if errors.Is(err, supervise.ErrAlreadyStarted) {
		return nil
	}
	return err
}

// close ends a room, also one that has come from another version and has not been opened here.
func (t *tree) close(ctx context.Context, room string) error {
	t.mu.Lock()
	rooms := t.rooms
	t.mu.Unlock()
	if rooms == nil {
		return otp.ErrAsleep
	}
	if err := rooms.TerminateChild(ctx, room); err != nil && !errors.Is(err, supervise.ErrNotFound) {
		return err
	}
	if err := otp.Halt(t.node.With(ctx), nameIn(room), otp.ErrShutdown); err != nil && !errors.Is(err, otp.ErrNoProc) {
		return err
	}
	t.note(room, 0, ErrNoRoom)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.places, room)
	return nil
}

// nameIn is a room's name in the node.
func nameIn(room string) otp.Name { return otp.Name("room:" + room) }

// started notes where a room's process is, whenever its supervisor has started one.
func (t *tree) started(room string, r supervise.Report) {
	if r.Event == supervise.Started {
		t.note(room, otp.WhereIs(t.node, nameIn(room)), nil)
	}
}

// ended notes that the supervisor of a room has given up, and tells the members what starts it again.
func (t *tree) ended(r supervise.Report) {
	if r.Event == supervise.Ended {
		why := fmt.Errorf("more than %d restarts within %s", Intensity, Period)
		t.note(r.ID, 0, why)
		t.tell(notice(r.ID, (&DownError{r.ID, why}).Error(), true))
	}
}

func (t *tree) note(room string, pid otp.PID, down error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.placeOf(room)
	p.pid, p.down = pid, down
	close(p.changed)
	p.changed = make(chan struct{})
}

// placeOf is for those who hold the lock.
func (t *tree) placeOf(room string) *place {
	p := t.places[room]
	if p == nil {
		p = &place{changed: make(chan struct{})}
		t.places[room] = p
	}
	return p
}

// at is where a room is now.
func (t *tree) at(room string) (pid otp.PID, down error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.places[room]; p != nil {
		return p.pid, p.down
	}
	return 0, nil
}

// next waits until a room has another process than pid, or is down.
func (t *tree) next(ctx context.Context, room string, before otp.PID) (otp.PID, error) {
	t.mu.Lock()
	p := t.placeOf(room)
	t.mu.Unlock()
	for {
		t.mu.Lock()
		pid, changed, down := p.pid, p.changed, p.down
		t.mu.Unlock()
		switch {
		case down != nil:
			return 0, &DownError{room, down}
		case pid != 0 && pid != before:
			return pid, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}
