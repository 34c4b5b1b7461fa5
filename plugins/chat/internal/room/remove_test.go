package room

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/state"
)

// start runs a service that is rooms alone.
func start(t *testing.T, dir string) (*Rooms, *sdktest.Instance) {
	t.Helper()
	var rooms *Rooms
	i := sdktest.Start(t, sdk.Service{Name: "rooms", Version: "1.0.0", Setup: func(s *sdk.Setup) error {
		rooms = New(s)
		return nil
	}}, sdktest.Options{StateDir: dir})
	return rooms, i
}

func say(ctx context.Context, r *Rooms, text string) (Posted, error) {
	return r.Post(ctx, "general", Post{User: "ada", Data: Say(text)})
}

// A room that was removed while somebody spoke in it started again behind its end: the one that was made next was served
// by the process of the old one, and what that acknowledged was found by nobody.
func TestWhatIsSaidWhileARoomIsRemovedAndMadeAgainIsLostInNeither(t *testing.T) {
	r, _ := start(t, "")
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	said := map[string]uint64{} // by epoch, the last
	var posters sync.WaitGroup
	for range 4 {
		posters.Go(func() {
			for ctx.Err() == nil {
				p, err := say(t.Context(), r, "hello")
				mu.Lock()
				if err == nil {
					said[p.Epoch] = max(said[p.Epoch], p.Offset)
				} else if !errors.Is(err, ErrNoRoom) {
					t.Errorf("say: %v", err)
					stop()
				}
				mu.Unlock()
			}
		})
	}
	for n := range 100 {
		if _, err := r.Create(t.Context(), "general"); err != nil {
			t.Fatalf("create %d: %v", n, err)
		}
		row, err := r.Find("general")
		must(t, err)
		p, err := say(t.Context(), r, "first")
		must(t, err)
		if p.Epoch != row.Epoch {
			t.Fatalf("room %d has epoch %s, and is served with %s", n, row.Epoch, p.Epoch)
		}
		if now, _ := r.Find("general"); now.Last < p.Offset {
			t.Fatalf("room %d: message %d was acknowledged, and %d is the last that is found", n, p.Offset, now.Last)
		}
		must(t, r.Remove(t.Context(), "general"))
		if n := r.messages.Len(); n != 0 {
			t.Fatalf("%d messages are left of a room that was removed", n)
		}
	}
	stop()
	posters.Wait()
}

// What a removal had left when the service was killed showed up in the next room of that name.
func TestARemovalThatWasCutOffIsFinishedByTheNextStart(t *testing.T) {
	for _, tt := range []struct {
		name string
		cut  func(*testing.T, *Rooms)
	}{
		{"before a message went", func(*testing.T, *Rooms) {}},
		{"among the messages", func(t *testing.T, r *Rooms) {
			row, _ := r.Log.rooms.Get("general")
			row.Last = 100
			must(t, r.Log.rooms.Put("general", row))
			for at := range uint64(40) {
				_, err := r.messages.Delete(key("general", at+1))
				must(t, err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, i := start(t, "")
			_, err := r.Create(t.Context(), "general")
			must(t, err)
			for n := range 100 {
				_, err := say(t.Context(), r, fmt.Sprint(n))
				must(t, err)
			}
			must(t, r.Hide("general"))
			tt.cut(t, r)
			i.Stop()
			r, _ = start(t, i.StateDir())
			if _, err := say(t.Context(), r, "hello"); !errors.Is(err, ErrNoRoom) {
				t.Errorf("got %v", err)
			}
			for end := time.Now().Add(10 * time.Second); r.messages.Len() > 0 || r.Log.rooms.Len() > 0; {
				if time.Now().After(end) {
					t.Fatalf("%d messages are left", r.messages.Len())
				}
				time.Sleep(time.Millisecond)
			}
			_, err = r.Create(t.Context(), "general")
			must(t, err)
			if p, err := say(t.Context(), r, "first"); err != nil || p.Offset != 1 {
				t.Errorf("the first message of the next room has offset %d (%v)", p.Offset, err)
			}
		})
	}
}

// One room that cannot be opened ended the service.
func TestARoomThatCannotBeOpenedIsDownAlone(t *testing.T) {
	r, i := start(t, "")
	_, err := r.Create(t.Context(), "random")
	must(t, err)
	must(t, r.Log.Create("general")) // it has no process that goes on, as after a crash of the service
	row, err := r.Find("general")
	must(t, err)
	must(t, r.Append("general", &row, Message{At: now()}))
	i.Stop()
	spoil(t, i.StateDir(), key("general", 1))
	r, _ = start(t, i.StateDir())
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if s, err := r.Stand("general"); err == nil && s.Down != "" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the room is not down")
		}
	}
	for range 3 {
		if _, err := say(t.Context(), r, "hello"); err == nil {
			t.Error("a room that cannot be opened takes a message")
		}
		if _, err := r.Post(t.Context(), "random", Post{Data: Say("hello")}); err != nil {
			t.Fatal(err)
		}
	}
}

// spoil puts a row into the messages that is none.
func spoil(t *testing.T, dir, key string) {
	t.Helper()
	s, err := state.Open(dir, state.Options{})
	must(t, err)
	defer s.Close()
	type none struct {
		At string `json:"at"`
	}
	rows := state.NewTable(s, "messages", state.Schema[none]{Name: "message", Version: 1})
	_, err = s.Load(t.Context())
	must(t, err)
	_, err = s.Activate(t.Context(), nil)
	must(t, err)
	must(t, rows.Put(key, none{At: "never"}))
}
