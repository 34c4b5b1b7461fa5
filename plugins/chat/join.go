package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/serve"
)

// heard is how many messages wait for a terminal at most.
const heard = 1024

// terminal is a member at a terminal.
type terminal struct {
	asked
	rooms *room.Rooms
	room  string
	seat  room.Seat
	who   room.Who
	at    mark

	in    room.Entered
	heard chan *room.Event
	out   context.Context // its cause is why it is not in the room any more
	leave context.CancelCauseFunc
}

// mark is up to where something was printed.
type mark struct {
	epoch  string
	offset uint64
}

var _ room.Member = (*terminal)(nil)

// newTerminal is one that joins or, if another version of the chat says so, goes on.
func newTerminal(rooms *room.Rooms, call *sdk.Call) (*terminal, error) {
	t := &terminal{asked: asked{call}, rooms: rooms, room: call.Args[0], heard: make(chan *room.Event, heard)}
	t.who = room.Who{Client: "terminal-" + rand.Text()[:8], User: t.user()}
	if from, given := t.Flag("on"); given {
		part := strings.Split(from, "/")
		if len(part) != 3 {
			return nil, sdk.Usagef("--on %s: want CLIENT/EPOCH/OFFSET", from)
		}
		offset, err := strconv.ParseUint(part[2], 10, 64)
		if err != nil {
			return nil, sdk.Usagef("--on %s: %s is no offset", from, part[2])
		}
		t.who.Client, t.at = part[0], mark{part[1], offset}
	}
	t.seat.Room, t.seat.JoinLeave = t.room, true
	t.out, t.leave = context.WithCancelCause(context.Background())
	return t, nil
}

func (t *terminal) Who() room.Who { return t.who }

// Enter is refused by a terminal that was left meanwhile.
func (t *terminal) Enter(in room.Entered) *room.Seat {
	if t.out.Err() != nil {
		return nil
	}
	t.in = in
	return &t.seat
}

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
func (t *terminal) Out(_ *room.Seat, why room.Exit) { t.leave(outFor[why]) }

var outFor = map[room.Exit]error{
	room.Lagged:  errors.New("this terminal does not keep up with what is said: join again"),
	room.Removed: errors.New("it was removed"),
	room.Kicked:  errors.New("you were kicked"),
	room.Banned:  errors.New("you were banned"),
}

// join prints what is said until the caller has enough, in whatever version of the chat.
func (c *chat) join(ctx context.Context, call *sdk.Call) error {
	t, err := newTerminal(c.rooms, call)
	if err != nil {
		return err
	}
	last, err := t.number("last", 10)
	if err != nil {
		return err
	}
	defer t.leave(nil)
	c.rooms.Add(t)
	defer c.rooms.Audience.Remove(t)
	goesOn := t.at.epoch != ""
	if err := c.rooms.Enter(ctx, t.room, room.Enter{Member: t.who.Client, Quiet: goesOn}); err != nil {
		t.leave(err)
		c.rooms.Leave(t, &t.seat, true)
		return failed(t.room, err)
	}
	err = t.watch(ctx, last)
	moves := errors.Is(err, errMoved)
	c.rooms.Leave(t, &t.seat, moves)
	if moves {
		err = t.goOn()
	}
	return failed(t.room, err)
}

// errMoved is why a terminal hears no more of this version.
var errMoved = errors.New("another version of the chat takes over: join again")

func (t *terminal) watch(ctx context.Context, last int) error {
	if t.at.epoch != "" && t.at.epoch != t.in.Epoch {
		return outFor[room.Removed]
	}
	if err := t.catchUp(last); err != nil {
		return err
	}
	for {
		select {
		case e := <-t.heard:
			t.print(e)
		case <-t.out.Done():
			t.printRest()
			return context.Cause(t.out)
		case <-serve.Parking(ctx):
			return errMoved
		case <-ctx.Done():
			return nil
		}
	}
}

// catchUp prints what had been said when the terminal came in: all that it has missed, or the last messages.
func (t *terminal) catchUp(last int) error {
	r, err := t.rooms.Find(t.room)
	if err != nil {
		return err
	}
	if t.at.epoch != "" {
		last = 0
	}
	r.Last = t.in.Offset
	list, err := t.rooms.Since(t.room, r, t.at.offset, last)
	if err != nil {
		return err
	}
	t.at = mark{t.in.Epoch, t.in.Offset}
	for _, e := range list {
		_ = t.tell(entry{e, e.Data}, "%d %s", e.Offset, said(t.room, e))
	}
	return nil
}

// printRest prints what is left of what was heard.
func (t *terminal) printRest() {
	for len(t.heard) > 0 {
		t.print(<-t.heard)
	}
}

// goOn prints what is left, and has the next version go on behind it.
func (t *terminal) goOn() error {
	t.printRest()
	args := []string{"--as", t.who.User, "--on", fmt.Sprintf("%s/%s/%d", t.who.Client, t.at.epoch, t.at.offset)}
	if t.Given("json") {
		args = append(args, "--json")
	}
	if !t.GoOn(append(args, "--", t.room)...) {
		return errMoved
	}
	return nil
}

// passage is somebody who comes or goes, as JSON.
type passage struct {
	Event string `json:"event"`
	room.Who
}

func (t *terminal) print(e *room.Event) {
	switch {
	case e.Kind == room.Joined:
		_ = t.tell(passage{"joined", e.Who}, "[%s] %s joined", t.room, plain(e.Who.User))
	case e.Kind == room.Left:
		_ = t.tell(passage{"left", e.Who}, "[%s] %s left", t.room, plain(e.Who.User))
	case e.Offset == 0 && e.User != "" && !t.Given("json"): // such as that somebody types: it is for programs, and nobody has said it
	case e.Offset == 0:
		_ = t.tell(entry{e.Entry, e.Data}, "%s", said(t.room, e.Entry))
	default:
		t.at.offset = e.Offset
		_ = t.tell(entry{e.Entry, e.Data}, "%d %s", e.Offset, said(t.room, e.Entry))
	}
}
