package main

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/serve"
)

// heard is how many messages wait for a terminal at most.
const heard = 1024

// terminal is a member at a terminal.
type terminal struct {
	who   room.Who
	in    room.Entered
	heard chan *room.Event
	out   context.Context // its cause is why it is not in the room any more
	leave context.CancelCauseFunc
}

func newTerminal(user string) *terminal {
	t := &terminal{who: room.Who{Client: "terminal-" + rand.Text()[:8], User: user}, heard: make(chan *room.Event, heard)}
	t.out, t.leave = context.WithCancelCause(context.Background())
	return t
}

var _ room.Member = (*terminal)(nil)

func (t *terminal) Who() room.Who         { return t.who }
func (t *terminal) Enter(in room.Entered) { t.in = in }

// Hear keeps an event until it is printed.
func (t *terminal) Hear(e *room.Event) bool {
	select {
	case t.heard <- e:
		return true
	default:
		return false
	}
}

// Out ends the verb.
func (t *terminal) Out(_ string, why room.Exit) { t.leave(outFor[why]) }

var outFor = map[room.Exit]error{
	room.Lagged:  errors.New("this terminal does not keep up with what is said: join again"),
	room.Removed: errors.New("it was removed"),
	room.Kicked:  errors.New("you were kicked"),
	room.Banned:  room.ErrBanned,
}

// join prints what is said until the caller has enough, or the version ends.
func (c *chat) join(ctx context.Context, call *sdk.Call) error {
	a := asked{call}
	name := a.Args[0]
	last, err := a.number("last", 10)
	if err != nil {
		return err
	}
	t := newTerminal(a.user())
	defer t.leave(nil)
	c.rooms.Add(t)
	defer c.rooms.Audience.Remove(t)
	if err := c.rooms.Enter(ctx, name, room.Enter{Member: t.who.Client}); err != nil {
		return failed(name, err)
	}
	defer c.rooms.Leave(name, t, false)
	if err := c.catchUp(a, name, t.in.Offset, last); err != nil {
		return err
	}
	return t.listen(ctx, a, name)
}

// catchUp prints the last messages that were there when the terminal came in.
func (c *chat) catchUp(a asked, name string, end uint64, last int) error {
	r, err := c.rooms.Find(name)
	if err != nil {
		return failed(name, err)
	}
	r.Last = end
	list, err := c.rooms.Since(name, r, 0, last)
	if err != nil {
		return failed(name, err)
	}
	for _, e := range list {
		_ = a.tell(entry{e, e.Data}, "%d %s", e.Offset, said(name, e))
	}
	return nil
}

var errMoved = errors.New("another version of the chat takes over: join again")

func (t *terminal) listen(ctx context.Context, a asked, name string) error {
	for {
		select {
		case e := <-t.heard:
			t.print(a, name, e)
		case <-t.out.Done():
			return failed(name, context.Cause(t.out))
		case <-serve.Parking(ctx):
			return errMoved
		case <-ctx.Done():
			return nil
		}
	}
}

func (t *terminal) print(a asked, name string, e *room.Event) {
	switch {
	case e.Kind == room.Joined:
		_ = a.tell(e.Who, "[%s] %s joined", name, plain(e.Who.User))
	case e.Kind == room.Left:
		_ = a.tell(e.Who, "[%s] %s left", name, plain(e.Who.User))
	case e.Offset == 0:
		_ = a.tell(entry{e.Entry, e.Data}, "[%s] %s", name, plain(e.Text()))
	default:
		_ = a.tell(entry{e.Entry, e.Data}, "%d %s", e.Offset, said(name, e.Entry))
	}
}
