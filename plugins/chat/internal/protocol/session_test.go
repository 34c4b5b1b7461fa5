package protocol

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
)

func TestSessionsTravel(t *testing.T) {
	full := client{
		form: formProtobuf, id: "an id", user: "ada", info: []byte(`{"a":1}`), expires: time.Unix(1_800_000_000, 0),
		subs: []*subscription{
			{Seat: room.Seat{Room: "over"}, over: true, why: room.Kicked},
			{Seat: room.Seat{Room: "general", JoinLeave: true}},
		},
	}
	for _, tt := range []struct {
		name    string
		session []byte
		want    *client
	}{
		{"of a client that has not connected", fresh(formSSE), &client{form: formSSE}},
		{"of one that has", full.pack(), &full},
		{"with what a later version adds", append(full.pack(), 1, 2, 3), &full},
		{
			"of a version that kept JSON", []byte(`{"form":1,"id":"an id","user":"ada","info":"eyJhIjoxfQ==","expires":"2027-01-15T08:00:00Z",` +
				`"rooms":{"general":{"join_leave":true},"over":{}},"over":{"over":2}}`), &full,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got client
			if err := got.recall(tt.session); err != nil {
				t.Fatal(err)
			}
			if !got.expires.Equal(tt.want.expires) {
				t.Errorf("it expires at %v", got.expires)
			}
			got.expires = tt.want.expires
			if !reflect.DeepEqual(&got, tt.want) {
				t.Errorf("got %+v, want %+v", &got, tt.want)
			}
		})
	}
	full.proof = bySecret
	if got := new(client); got.recall(full.pack()) != nil || got.proof != bySecret {
		t.Errorf("who it is was proved by %d", got.proof)
	}
	for n := range len(full.pack()) {
		if err := new(client).recall(full.pack()[:n]); err == nil {
			t.Errorf("%d bytes of a session are taken for one", n)
		}
	}
}

// A session was kept twice for each subscription that had ended, and for tokens that said what was known.
func TestASessionIsKeptWhenItChanges(t *testing.T) {
	rooms := startRooms(t)
	s := New(rooms, Options{Auth: Auth{Tokens: map[string]string{"token": "ada"}}, Skip: true})
	w := &wire{session: fresh(formJSON)}
	c := s.enter(w)
	for _, tt := range []struct {
		say  string
		kept int
	}{
		{`{"id":1,"connect":{"token":"token"}}`, 1},
		{`{"id":2,"subscribe":{"channel":"general"}}`, 1},
		{`{"id":3,"subscribe":{"channel":"general"}}`, 0},
		{`{"id":4,"subscribe":{"channel":"nowhere"}}`, 0},
		{`{"id":5,"refresh":{"token":"token"}}`, 0},
		{`{"id":7,"unsubscribe":{"channel":"nowhere"}}`, 0},
		{`{"id":8,"unsubscribe":{"channel":"general"}}`, 1},
		{`{"id":9,"subscribe":{"channel":"general"}}`, 1},
	} {
		w.kept = 0
		if c.commands([]byte(tt.say)); w.kept != tt.kept {
			t.Errorf("%s: it was kept %d times, want %d", tt.say, w.kept, tt.kept)
		}
	}
	w.kept = 0
	if rooms.Expel("general", "ada", room.Kicked); w.kept != 2 {
		t.Errorf("out of a room: it was kept %d times, want that it is over and that this was told", w.kept)
	}
}

// All clients that a version had taken over were pinged at once, 25 s later, and nobody was heard meanwhile. Of those in silent rooms
// many had left by then: their SDKs wait for a ping for 35 s, and the one before the switch may have been 25 s ago.
func TestClientsAreNotPingedAtOnce(t *testing.T) {
	const clients = 1000
	s := New(startRooms(t), Options{})
	for n := range clients {
		before := client{id: fmt.Sprint(n), user: "ada"}
		w := &wire{session: before.pack()}
		s.enter(w)
	}
	began, all := time.Now(), 0
	for second := range pongWithin / time.Second {
		pinged := 0
		for range turns {
			for _, c := range s.clients.turn(turns) {
				w := c.conn.(*wire)
				w.frames = 0
				c.tend(began.Add(second * time.Second))
				pinged += w.frames
			}
		}
		if all += pinged; pinged > clients/3 {
			t.Errorf("%d were pinged after %d s", pinged, second)
		}
	}
	if all < clients {
		t.Errorf("%d were pinged in time", all)
	}
}

// Another version's clients come side by side, and are told of what is said meanwhile.
func TestClientsComeFromAnotherVersionSideBySide(t *testing.T) {
	const each = 200
	rooms := startRooms(t)
	s := New(rooms, Options{})
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range each {
				before := client{id: fmt.Sprint(n, i), user: "ada", subs: []*subscription{{Seat: room.Seat{Room: "general"}}}}
				s.enter(&wire{session: before.pack()})
			}
		})
	}
	for range 20 {
		post(t, rooms, "hello")
	}
	all.Wait()
	if rooms.Size("general") != 4*each || rooms.Members() != 4*each || s.clients.len() != 4*each {
		t.Errorf("%d are in the room, %d known, %d clients", rooms.Size("general"), rooms.Members(), s.clients.len())
	}
}
