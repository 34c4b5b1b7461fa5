package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/serve"
)

// benchRoom is what the names of a measurement's rooms begin with.
const benchRoom = "bench."

// errBenchRoom is why nobody else makes such rooms: they would be removed.
var errBenchRoom = errors.New("names that begin with " + benchRoom + " are of the rooms that chatctl bench makes and removes")

// errCut is why a measurement ends early.
var errCut = errors.New("another version of the chat takes over: measure again")

// maxHeard bounds the deliveries of a measurement: each is remembered.
const maxHeard = 10_000_000

func (c *chat) benchVerb() sdk.Verb {
	return sdk.Verb{
		Name: "bench", Short: "Measure messages within the service, in rooms of its own", Do: c.bench,
		Flags: []sdk.Flag{
			{Name: "n", Arg: "N", Short: "messages; 20000 if it is not there"},
			{Name: "rooms", Arg: "N", Short: "each with one who speaks; 4 if it is not there"},
			{Name: "members", Arg: "N", Short: "who hear each room; 10 if it is not there"},
			{Name: "size", Arg: "BYTES", Short: "of a text; 100 if it is not there"},
			jsonFlag,
		},
		Examples: "chatctl bench\nchatctl bench --rooms 1 --members 1000 --n 5000",
	}
}

// listener is a member that notes when it has heard what.
type listener struct {
	who         room.Who
	seat        room.Seat
	took        []time.Duration
	last        uint64
	lost, twice int
}

func (l *listener) Who() room.Who                 { return l.who }
func (l *listener) Out(_ *room.Seat, _ room.Exit) {}

func (l *listener) Enter(in room.Entered) *room.Seat {
	l.last = in.Offset
	return &l.seat
}

func (l *listener) Hear(e *room.Event) bool {
	if e.Kind != room.Said || e.Offset == 0 {
		return true
	}
	if e.Offset <= l.last {
		l.twice++
		return true
	}
	l.lost += int(e.Offset - l.last - 1)
	l.last = e.Offset
	if began, err := strconv.ParseInt(e.Client, 10, 64); err == nil {
		l.took = append(l.took, time.Since(time.Unix(0, began)))
	}
	return true
}

// measured is how fast something was.
type measured struct {
	PerSecond float64 `json:"per_second"`
	P50       string  `json:"p50"`
	P99       string  `json:"p99"`
	Max       string  `json:"max"`
}

func summary(took []time.Duration, in time.Duration) measured {
	if len(took) == 0 {
		return measured{P50: "-", P99: "-", Max: "-"}
	}
	slices.Sort(took)
	at := func(part int) string { return took[(len(took)-1)*part/100].String() }
	return measured{float64(len(took)) / in.Seconds(), at(50), at(99), at(100)}
}

func (m measured) String() string {
	return fmt.Sprintf("%.0f/s p50=%s p99=%s max=%s", m.PerSecond, m.P50, m.P99, m.Max)
}

// result of a measurement.
type result struct {
	Acknowledged measured `json:"acknowledged"` // in the log
	Heard        measured `json:"heard"`        // by members, since the message was given
	Lost         int      `json:"lost"`
	Twice        int      `json:"twice"`
}

func (r result) String() string {
	return fmt.Sprintf("acknowledged: %s\nheard: %s lost=%d twice=%d", r.Acknowledged, r.Heard, r.Lost, r.Twice)
}

func (c *chat) bench(ctx context.Context, call *sdk.Call) error {
	a := asked{call}
	n, failedN := a.number("n", 20_000)
	rooms, failedRooms := a.number("rooms", 4)
	members, failedMembers := a.number("members", 10)
	size, failedSize := a.number("size", 100)
	if err := errors.Join(failedN, failedRooms, failedMembers, failedSize); err != nil {
		return err
	}
	if rooms > n || n/rooms*rooms*members > maxHeard || size > maxText {
		return sdk.Usagef("want no more rooms than messages, at most %d messages to members, and texts of at most %d bytes", maxHeard, maxText)
	}
	if !c.benching.TryLock() {
		return errors.New("somebody is measuring already")
	}
	defer c.benching.Unlock()
	c.sweep()
	defer c.sweep()
	r, err := c.measure(ctx, n/rooms, rooms, members, size)
	if err != nil {
		return err
	}
	return a.tell(r, "%s", r)
}

// sweep removes the rooms of a measurement, and of one that was cut off.
func (c *chat) sweep() {
	ctx, done := shut(context.Background())
	defer done()
	names, _ := c.rooms.Names()
	for _, name := range names {
		if strings.HasPrefix(name, benchRoom) {
			_ = c.rooms.Remove(ctx, name)
		}
	}
}

func (c *chat) measure(ctx context.Context, each, rooms, members, size int) (r result, err error) {
	var all []*listener
	defer func() { c.dismiss(all) }()
	for n := range rooms {
		list, err := c.fill(ctx, benchRoom+strconv.Itoa(n), members)
		all = append(all, list...)
		if err != nil {
			return r, err
		}
	}
	took, failed := make([][]time.Duration, rooms), make([]error, rooms)
	var speakers sync.WaitGroup
	began := time.Now()
	for n := range rooms {
		speakers.Go(func() { took[n], failed[n] = c.speak(ctx, benchRoom+strconv.Itoa(n), each, size) })
	}
	speakers.Wait()
	if err := errors.Join(failed...); err != nil {
		return r, err
	}
	in := time.Since(began)
	r.Acknowledged = summary(slices.Concat(took...), in)
	var heard []time.Duration
	for _, l := range all {
		heard = append(heard, l.took...)
		r.Lost += l.lost + each - int(l.last)
		r.Twice += l.twice
	}
	r.Heard = summary(heard, in)
	return r, nil
}

// fill makes a room with members.
func (c *chat) fill(ctx context.Context, name string, members int) (list []*listener, err error) {
	if _, err := c.rooms.Create(ctx, name); err != nil {
		return nil, err
	}
	for n := range members {
		l := &listener{who: room.Who{Client: fmt.Sprintf("%s.%d", name, n), User: "bench"}, seat: room.Seat{Room: name}}
		list = append(list, l)
		c.rooms.Add(l)
		if err := c.rooms.Enter(ctx, name, room.Enter{Member: l.who.Client, Quiet: true}); err != nil {
			return list, err
		}
	}
	return list, nil
}

// dismiss forgets members, whose rooms are removed.
func (c *chat) dismiss(list []*listener) {
	for _, l := range list {
		c.rooms.Audience.Remove(l)
	}
}

// speak says so many messages, one after the other, and returns when they have been heard.
func (c *chat) speak(ctx context.Context, name string, each, size int) (took []time.Duration, err error) {
	data := room.Say(strings.Repeat("x", size))
	for range each {
		select {
		case <-serve.Parking(ctx):
			return took, errCut
		default:
		}
		began := time.Now()
		p := room.Post{User: "bench", Client: strconv.FormatInt(began.UnixNano(), 10), Data: data}
		if _, err := c.rooms.Post(ctx, name, p); err != nil {
			return took, failed(name, err)
		}
		took = append(took, time.Since(began))
	}
	return took, c.rooms.Settled(ctx, name)
}
