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
	found []room.Who // in the room, when it came in
	roll  roll       // nil if another version has not told who was there
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
	t.seat.Room, t.seat.JoinLeave = t.room, true
	t.out, t.leave = context.WithCancelCause(context.Background())
	return t, t.resume()
}

// resume reads where another version or process has stopped.
func (t *terminal) resume() (err error) {
	from, given := t.Flag("on")
	part := strings.Split(from, "/")
	switch {
	case !given:
		return nil
	case len(part) != 3:
		return sdk.Usagef("--on %s: want CLIENT/EPOCH/OFFSET", from)
	case part[0] != "":
		t.who.Client = part[0]
	}
	t.at.epoch = part[1]
	if t.at.offset, err = strconv.ParseUint(part[2], 10, 64); err != nil {
		return sdk.Usagef("--on %s: %s is no offset", from, part[2])
	}
	was, given := t.Flag("was")
	if !given {
		return nil
	}
	if t.roll, err = parseRoll(was); err != nil {
		return sdk.Usagef("--was: %v", err)
	}
	return nil
}

func (t *terminal) Who() room.Who { return t.who }

// Enter is refused by a terminal that was left meanwhile.
func (t *terminal) Enter(in room.Entered) *room.Seat {
	if t.out.Err() != nil {
		return nil
	}
	t.in, t.found = in, append(t.rooms.Here(t.room), in.Away...)
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
	if err := c.rooms.Enter(ctx, t.room, room.Enter{Member: t.who.Client}); err != nil {
		t.leave(err)
		c.rooms.Leave(t, &t.seat, true)
		return failed(t.room, err)
	}
	err = t.watch(ctx, last)
	moves := errors.Is(err, errMoved)
	c.rooms.Leave(t, &t.seat, moves && c.rooms.Depart(ctx, t.room, t.who) == nil)
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
	t.meet()
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
			if context.Cause(ctx) == serve.ErrParking { // the same, to a call that goes on for long
				return errMoved
			}
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
	t.at.epoch = t.in.Epoch
	for _, e := range list {
		t.show(e)
	}
	t.reach(t.in.Offset)
	t.Printf("")
	return nil
}

// reach notes up to where something is printed, also for a chat that has crashed.
func (t *terminal) reach(offset uint64) {
	t.at.offset = offset
	t.IfLost(append(t.words(""), "--", t.room)...)
}

// show prints a message.
func (t *terminal) show(e room.Entry) {
	t.reach(e.Offset)
	_ = t.tell(entry{e, e.Data}, "%d %s", e.Offset, said(t.room, e))
}

// words have another version or process go on: as this client or, without one, as somebody who comes anew.
func (t *terminal) words(client string) []string {
	words := []string{"--as", t.who.User, "--on", fmt.Sprintf("%s/%s/%d", client, t.at.epoch, t.at.offset)}
	if t.Given("json") {
		words = append(words, "--json")
	}
	return words
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
	if !t.GoOn(append(append(t.words(t.who.Client), t.roll.words()...), "--", t.room)...) {
		return errMoved
	}
	return nil
}

func (t *terminal) print(e *room.Event) {
	switch {
	case e.Kind == room.Joined:
		t.passes(passage{"joined", e.Who})
	case e.Kind == room.Left:
		t.passes(passage{"left", e.Who})
	case e.Offset == 0 && e.User != "" && !t.Given("json"): // such as that somebody types: it is for programs, and nobody has said it
	case e.Offset == 0:
		_ = t.tell(entry{e.Entry, e.Data}, "%s", said(t.room, e.Entry))
	default:
		t.show(e.Entry)
	}
}
