package protocol

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
)

const subscribe = `{"id":2,"subscribe":{"channel":"general"}}`

// post says something, and returns when all members have been told.
func post(t *testing.T, rooms *room.Rooms, text string) {
	t.Helper()
	_, err := rooms.Post(t.Context(), "general", room.Post{User: "ada", Data: room.Say(text)})
	if err != nil {
		t.Fatal(err)
	}
	if err := rooms.Settled(t.Context(), "general"); err != nil {
		t.Fatal(err)
	}
}

// A frame of histories had all its answers made in memory, hundreds of megabytes, before any was looked at.
func TestTheAnswersToAFrameAreNotCollectedWithoutEnd(t *testing.T) {
	rooms := startRooms(t)
	for range 100 {
		post(t, rooms, strings.Repeat("x", 40_000))
	}
	ask := strings.Repeat(`{"id":3,"history":{"channel":"general","limit":1000}}`+"\n", 20)
	c, w := open(t, New(rooms, Options{}), formJSON)
	c.commands([]byte(subscribe))
	c.commands([]byte(strings.TrimSpace(ask)))
	if answers := strings.Count(string(w.out), `"history"`); answers != 20 || w.largest > 1_100_000 {
		t.Errorf("%d answers, in frames of up to %d bytes", answers, w.largest)
	}
	w.full, w.frames = true, 0
	before := len(w.out)
	c.commands([]byte(strings.TrimSpace(ask)))
	if w.closed != 3008 || len(w.out) != before {
		t.Errorf("a client that takes nothing is closed with %d", w.closed)
	}
}

// Whoever sends more commands in one frame than are done is told so, for each.
func TestCommandsInAFrameAreBounded(t *testing.T) {
	c, w := open(t, New(startRooms(t), Options{}), formJSON)
	var b strings.Builder
	for n := range maxCommands + 10 {
		fmt.Fprintf(&b, `{"id":%d,"ping":{}}`+"\n", n+2)
	}
	c.commands([]byte(strings.TrimSpace(b.String())))
	if n := strings.Count(string(w.out), `"code":111`); n != 10 || w.closed != 0 {
		t.Errorf("%d commands were refused, and the client was closed with %d", n, w.closed)
	}
}

// A client whose frames took long to answer, one after the other, had every switch called off.
func TestALongFrameHoldsUpNoHandover(t *testing.T) {
	rooms := startRooms(t)
	for range 100 {
		post(t, rooms, strings.Repeat("x", 40_000))
	}
	for parks, n := range map[bool]int{false: 30, true: maxCommands} {
		c, w := open(t, New(rooms, Options{}), formJSON)
		c.commands([]byte(subscribe))
		w.parks = parks
		c.commands([]byte(strings.TrimSpace(strings.Repeat(`{"id":3,"history":{"channel":"general","limit":1000}}`+"\n", n))))
		done, put := strings.Count(string(w.out), `"history"`), strings.Count(string(w.out), `"code":111`)
		if done+put != n || done == 0 || parks != (put > 0) || w.closed != 0 {
			t.Errorf("%d are answered, and %d put off", done, put)
		}
	}
}

// Recovering in many rooms at once, a client was given more than may wait for it, and closed as slow, each time anew.
func TestAClientIsGivenNoMoreOfTheHistoryThanMayWaitForIt(t *testing.T) {
	rooms := startRooms(t)
	for range 100 {
		post(t, rooms, strings.Repeat("x", 40_000))
	}
	c, w := open(t, New(rooms, Options{}), formJSON)
	c.commands([]byte(subscribe))
	w.free = 100_000
	w.out = nil
	c.commands([]byte(`{"id":3,"history":{"channel":"general","limit":1000}}`))
	if len(w.out) > 60_000 || !strings.Contains(string(w.out), `"offset":1,`) {
		t.Errorf("%d bytes for a client that takes 100,000", len(w.out))
	}
}

// Rooms that nobody has made had their members kept for ever, if somebody left them.
func TestLeavingWhatOneIsNotInLeavesNothing(t *testing.T) {
	rooms := startRooms(t)
	c, _ := open(t, New(rooms, Options{}), formJSON)
	for n := range 100 {
		c.commands([]byte(fmt.Sprintf(`{"id":2,"unsubscribe":{"channel":"room-%d"}}`, n)))
		rooms.Leave(c, &room.Seat{Room: fmt.Sprint(n)}, false)
		rooms.Tell(&room.Event{Room: fmt.Sprint(n)})
		_ = rooms.Here(fmt.Sprint(n))
	}
	if n := rooms.Busy(); n != 0 {
		t.Errorf("%d rooms have members", n)
	}
}

// A client that was told that its subscription is over subscribed again before it was out of the room, and was taken out
// of it afterwards: it heard nothing more, and did not know.
func TestAClientThatLagsIsOutBeforeItIsTold(t *testing.T) {
	rooms := startRooms(t)
	c, w := open(t, New(rooms, Options{Skip: true}), formJSON)
	c.commands([]byte(subscribe))
	w.full = true
	post(t, rooms, "missed")
	w.full = false
	w.sent = func() {
		w.sent = nil
		if c.in("general") != nil || rooms.Size("general") != 0 || !strings.Contains(string(w.out), `"code":2500`) {
			t.Errorf("it is told, and is in still: %s", w.out)
		}
	}
	c.commands([]byte(`{"id":3,"subscribe":{"channel":"general","recover":true,"epoch":"` + epoch(t, rooms) + `"}}`))
	if w.sent != nil || !strings.Contains(string(w.out), `"missed"`) {
		t.Errorf("got %s", w.out)
	}
	post(t, rooms, "heard")
	if !strings.Contains(string(w.out), `"heard"`) {
		t.Errorf("got %s", w.out)
	}
}

// A client that was in no room when it was handed over ended the next version with its first subscription.
func TestAClientWithoutRoomsSubscribesInTheNextVersion(t *testing.T) {
	s := New(startRooms(t), Options{})
	c, w := open(t, s, formJSON)
	s.exit(c, true)
	next := &wire{session: w.session}
	s.enter(next).commands([]byte(subscribe))
	if !strings.Contains(string(next.out), `"subscribe"`) {
		t.Errorf("got %s", next.out)
	}
}

func epoch(t *testing.T, rooms *room.Rooms) string {
	t.Helper()
	r, err := rooms.Find("general")
	if err != nil {
		t.Fatal(err)
	}
	return r.Epoch
}

// What a client had missed when it was handed over nobody remembered: it was sent what came next, with a gap.
func TestAClientThatLagsIsToldByTheNextVersion(t *testing.T) {
	rooms := startRooms(t)
	s := New(rooms, Options{Skip: true})
	c, w := open(t, s, formJSON)
	c.commands([]byte(subscribe))
	w.full = true
	post(t, rooms, "missed")
	s.exit(c, true)
	next := &wire{session: w.session}
	c = s.enter(next)
	post(t, rooms, "after the gap")
	c.tend(time.Now())
	if out := string(next.out); !strings.Contains(out, `"code":2500`) || strings.Contains(out, "gap") || c.in("general") != nil {
		t.Errorf("got %s", out)
	}
	var kept client
	if err := kept.recall(next.session); err != nil || len(kept.subs) > 0 {
		t.Errorf("the session is %q: %v", next.session, err)
	}
}

// A client of a stream that does not take what is said is told 3008 as the last word, whatever waits before it.
func TestASlowStreamEndsWithItsReason(t *testing.T) {
	rooms := startRooms(t)
	s := New(rooms, Options{Queue: 2000})
	out := newStream(formSSE, s.o.Queue)
	c := s.enter(out)
	c.commands(hello(t, formSSE))
	c.commands([]byte(subscribe))
	for range 4 {
		post(t, rooms, strings.Repeat("x", 600))
	}
	b, last := out.take()
	if events := strings.Split(strings.TrimSpace(string(b)), "\n\n"); !last || len(b) > 3000 || !strings.Contains(events[len(events)-1], `"code":3008`) {
		t.Errorf("got %s", b)
	}
	s.exit(c, false)
	c.commands([]byte(subscribe))
	if rooms.Busy() != 0 || rooms.Members() != 0 {
		t.Error("a client that has gone comes into a room")
	}
}

// A client that had waited for a room for too long was told so and came in all the same: it was in the room for ever, heard it, and
// could not be banned.
func TestAClientThatHasWaitedForTooLongIsInARoomOrNot(t *testing.T) {
	rooms := startRooms(t)
	c, w := open(t, New(rooms, Options{}), formJSON)
	ctx, stop := context.WithCancel(t.Context())
	returned := make(chan struct{})
	w.sent = func() { w.sent = nil; stop(); <-returned } // the room answers in the instant in which the patience ends
	err := c.subscribe(ctx, 2, &protocol.SubscribeRequest{Channel: "general"})
	close(returned)
	settled(t, rooms)
	if err != nil || c.in("general") == nil || rooms.Size("general") != 1 {
		t.Errorf("%v; %d are in the room, and the client thinks %v", err, rooms.Size("general"), c.in("general") != nil)
	}
	c.leave("general", false)
	err = rooms.Enter(t.Context(), "general", room.Enter{Member: c.id, Call: 2}) // the room answers too late
	if !errors.Is(err, room.ErrNoMember) || rooms.Size("general") != 0 || strings.Count(string(w.out), `"subscribe"`) != 1 {
		t.Errorf("%v; %d are in the room; %s", err, rooms.Size("general"), w.out)
	}
}

// settled returns when all members have been told.
func settled(t *testing.T, rooms *room.Rooms) {
	t.Helper()
	if err := rooms.Settled(t.Context(), "general"); err != nil {
		t.Fatal(err)
	}
}

// An answer larger than what may wait for a client closed it as slow, each time that it came back: who is in a room of many, and which
// rooms there are, closed every page of the chat.
func TestAnAnswerThatIsTooLargeIsRefused(t *testing.T) {
	rooms := startRooms(t)
	s := New(rooms, Options{Queue: 20_000})
	c, w := open(t, s, formJSON)
	c.commands([]byte(subscribe))
	ask := []byte(`{"id":3,"presence":{"channel":"general"}}` + "\n" + `{"id":4,"presence_stats":{"channel":"general"}}`)
	for n := range 300 {
		other, _ := open(t, s, formJSON)
		other.commands([]byte(subscribe))
		w.out = nil
		switch c.commands(ask); {
		case strings.Contains(string(w.out), `"code":106`) && strings.Contains(string(w.out), `"num_clients"`) && n > 100:
			return
		case n == 150: // while something else waits it may be asked for again
			w.free, w.out = 1000, nil
			if c.commands(ask); !strings.Contains(string(w.out), `"code":111`) || w.closed != 0 {
				t.Errorf("closed with %d: %s", w.closed, w.out)
			}
			w.free = 0
		case w.closed != 0 || !strings.Contains(string(w.out), `"presence":{`):
			t.Fatalf("with %d others it is closed with %d: %s", n+1, w.closed, w.out)
		}
	}
	t.Errorf("it is given %d bytes", len(w.out))
}

// What had been done of a frame that ended in nonsense was not acknowledged, and sent again by whoever came back.
func TestWhatCameBeforeNonsenseIsAnswered(t *testing.T) {
	c, w := open(t, New(startRooms(t), Options{}), formJSON)
	c.commands([]byte(`{"id":3,"ping":{}}` + "\n" + `nonsense`))
	if !strings.Contains(string(w.out), `{"id":3,"ping":{}}`) || w.closed != 3501 {
		t.Errorf("it is closed with %d: %s", w.closed, w.out)
	}
}

// Whoever came and went in one go had everybody in the room told of it, hundreds of times in a frame.
func TestComingAndGoingIsBounded(t *testing.T) {
	rooms := startRooms(t)
	s := New(rooms, Options{})
	c, w := open(t, s, formJSON)
	for range 3 * maxRooms {
		c.commands([]byte(subscribe + "\n" + `{"id":3,"unsubscribe":{"channel":"general"}}`))
	}
	if in := strings.Count(string(w.out), `"subscribe"`); in < maxRooms || in > 2*maxRooms || !strings.Contains(string(w.out), `"code":111`) || w.closed != 0 {
		t.Errorf("it came in %d times, and was closed with %d", in, w.closed)
	}
	other, now := new(client), time.Now()
	for n := range maxRooms + 1 {
		if may := other.mayEnter(now); may != (n < maxRooms) {
			t.Fatalf("the %d. time: %v", n+1, may)
		}
	}
	if !other.mayEnter(now.Add(enterEvery)) || other.mayEnter(now.Add(enterEvery)) {
		t.Error("it may not come in once more after a while, or more often")
	}
}
