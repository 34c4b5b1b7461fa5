package room

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/clock"
	"github.com/theseusd/theseus/sdk/otp"
)

// Rooms is what can be done with rooms.
type Rooms struct {
	*Log
	*Audience
	node *otp.Node
	tree *tree

	making sync.Mutex // rooms are made and removed one at a time
}

// New makes the rooms of a service.
func New(s *sdk.Setup) *Rooms {
	r := &Rooms{Log: NewLog(s), Audience: NewAudience()}
	kind := behaviour(r.Log, r.Audience)
	r.tree = &tree{kind: kind, tell: r.Tell, names: r.Names, tidy: r.tidy, places: map[string]*place{}}
	r.node = s.Node(otp.Options{Behaviours: []otp.AnyBehaviour{kind}, Root: r.tree.root})
	return r
}

// PID is a process as people see it: <node.place.incarnation>.
type PID otp.PID

func (p PID) String() string { return fmt.Sprintf("<0.%d.%d>", uint32(p), uint32(p>>32)) }

// Create makes a room and starts it. One that is down is started again, with its history.
func (r *Rooms) Create(ctx context.Context, room string) (PID, error) {
	r.making.Lock()
	defer r.making.Unlock()
	if err := r.end(ctx, room); err != nil {
		return 0, err
	}
	err := r.Log.Create(room)
	if err != nil && !errors.Is(err, ErrExists) {
		return 0, err
	}
	if _, down := r.tree.at(room); err != nil && down == nil {
		return 0, fmt.Errorf("room %s: %w", room, ErrExists)
	}
	return r.start(ctx, room)
}

func (r *Rooms) start(ctx context.Context, room string) (PID, error) {
	if err := r.tree.open(ctx, room); err != nil {
		return 0, err
	}
	pid, err := r.tree.next(ctx, room, 0)
	return PID(pid), err
}

// Remove ends a room, has its members leave, and forgets its history. Cut off after it has begun, it is finished later.
func (r *Rooms) Remove(ctx context.Context, room string) error {
	r.making.Lock()
	defer r.making.Unlock()
	if err := r.Hide(room); err != nil {
		return err
	}
	return r.end(ctx, room)
}

// end finishes the removal of a room that is hidden. Its process goes before its messages do: it might add to them.
func (r *Rooms) end(ctx context.Context, room string) error {
	if !r.hides(room) {
		return nil
	}
	if err := r.tree.close(ctx, room); err != nil {
		return err
	}
	r.Empty(room, Removed)
	return r.Sweep(room)
}

// tidy finishes removals that were cut off.
func (r *Rooms) tidy(ctx context.Context) error {
	r.making.Lock()
	defer r.making.Unlock()
	names, err := r.Hidden()
	for _, name := range names {
		err = errors.Join(err, r.end(ctx, name))
	}
	return err
}

// Post says something in a room. It is told and not kept, and has no offset, if the data says "ephemeral": true.
func (r *Rooms) Post(ctx context.Context, room string, p Post) (posted Posted, err error) {
	var c claims
	if p.Data, c, err = tidied(p.Data); err != nil {
		return posted, err
	}
	p.Passing = c.Ephemeral
	return ask(ctx, r, room, p)
}

// Alter changes or deletes a message.
func (r *Rooms) Alter(ctx context.Context, room string, a Alter) (altered Posted, err error) {
	if a.Data != nil {
		a.Data, _, err = tidied(a.Data)
	}
	if err != nil {
		return altered, err
	}
	return ask(ctx, r, room, a)
}

// Enter brings a member into a room.
func (r *Rooms) Enter(ctx context.Context, room string, e Enter) error {
	_, err := ask(ctx, r, room, e)
	return err
}

// Depart says that a member is about to leave for another version; see [Depart]. It does not hold up that version, nor does it mind
// that ctx may have ended for its sake.
func (r *Rooms) Depart(ctx context.Context, room string, who Who) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, err := ask(ctx, r, room, Depart{Who: who})
	return err
}

// Judge puts a sanction on a user, or lifts it.
func (r *Rooms) Judge(ctx context.Context, room string, j Judge) error {
	_, err := ask(ctx, r, room, j)
	return err
}

// Slow sets the pace of a room.
func (r *Rooms) Slow(ctx context.Context, room string, pace time.Duration) error {
	_, err := ask(ctx, r, room, Slow{Pace: pace})
	return err
}

// Settled returns when the members have been told all that was said in a room before.
func (r *Rooms) Settled(ctx context.Context, room string) error {
	_, err := ask(ctx, r, room, Settle{})
	return err
}

// ask asks a room's process. One that is about to start again is waited for.
func ask[R any](ctx context.Context, r *Rooms, room string, m otp.Request[R]) (answer R, err error) {
	if !r.Has(room) {
		return answer, ErrNoRoom
	}
	for {
		before, down := r.tree.at(room)
		if down != nil {
			return answer, &DownError{room, down}
		}
		answer, err = otp.Call(r.node.With(ctx), nameIn(room), m)
		if !errors.Is(err, otp.ErrNoProc) {
			return answer, err
		}
		if err := r.tree.open(ctx, room); err != nil {
			return answer, err
		}
		if now := otp.WhereIs(r.node, nameIn(room)); now != 0 && now != before {
			continue
		}
		if _, err := r.tree.next(ctx, room, before); err != nil {
			return answer, err
		}
	}
}

// Crash makes a room crash, and returns when it was started again, or not. One that is down stays so.
func (r *Rooms) Crash(ctx context.Context, room string) (before, after PID, err error) {
	if !r.Has(room) {
		return 0, 0, ErrNoRoom
	}
	if _, down := r.tree.at(room); down != nil {
		return 0, 0, &DownError{room, down}
	}
	first, err := r.start(ctx, room)
	if err != nil {
		return 0, 0, err
	}
	_, err = otp.Call(r.node.With(ctx), otp.PID(first), Crash{Reason: ErrCrash.Error()})
	var exit *otp.Exit
	if !errors.As(err, &exit) {
		return first, 0, fmt.Errorf("the room did not crash: %w", err)
	}
	pid, err := r.tree.next(ctx, room, otp.PID(first))
	return first, PID(pid), err
}

// Standing is how a room is.
type Standing struct {
	Name    string `json:"room"`
	PID     string `json:"pid,omitempty"`
	Down    string `json:"down,omitempty"`
	Members int    `json:"members"`
	Room
	Pace clock.Duration `json:"pace,omitempty"` // that of Room, as people write it
}

// Stand tells how a room is.
func (r *Rooms) Stand(room string) (Standing, error) {
	row, err := r.Find(room)
	if err != nil {
		return Standing{}, err
	}
	if weighed, err := r.Open(room); err == nil { // one that cannot be opened is shown all the same
		row = weighed
	}
	s := Standing{Name: room, Members: r.Size(room), Room: row, Pace: clock.Duration(row.Pace)}
	pid, down := r.tree.at(room)
	if pid == 0 {
		pid = otp.WhereIs(r.node, nameIn(room)) // it has come from another version, and was not opened here yet
	}
	switch {
	case down != nil:
		s.Down = down.Error()
	case pid != 0:
		s.PID = PID(pid).String()
	}
	return s, nil
}

// All is how every room is.
func (r *Rooms) All() (list []Standing, err error) {
	names, err := r.Names()
	for _, name := range names {
		s, err := r.Stand(name)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, err
}

// Stats counts.
type Stats struct {
	Rooms    int    `json:"rooms"`
	Members  int    `json:"members"`
	Messages int    `json:"messages"`
	Crashes  uint64 `json:"crashes"` // since this process began
}

// Stats counts what there is.
func (r *Rooms) Stats() Stats {
	return Stats{r.Log.rooms.Len(), r.Members(), r.messages.Len(), r.node.Stats().Crashes}
}
