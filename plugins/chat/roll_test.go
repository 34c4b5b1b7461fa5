package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/serve"
)

// whoIs is who is in the room, by user.
func whoIs(t *testing.T, i *sdktest.Instance) map[string]room.Who {
	t.Helper()
	var list []room.Who
	if err := json.Unmarshal([]byte(i.Verb("who", "general", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	by := map[string]room.Who{}
	for _, w := range list {
		by[w.User] = w
	}
	return by
}

// A terminal was not told who left while one version of the chat took over from another: it is in no room then.
func TestATerminalIsToldWhoLeftBetweenTwoVersions(t *testing.T) {
	var c *chat
	i := sdktest.Start(t, sdk.Service{Name: "chat", Version: version, Setup: func(s *sdk.Setup) (err error) {
		c, err = open(s)
		return err
	}}, sdktest.Options{Config: tokens})
	i.Verb("create", "room", "general")
	ada := as(t, i, kinds[0], "token-of-ada")
	ada.subscribe("general")
	was := []room.Who{whoIs(t, i)["ada"], {Client: "terminal-1", User: "eve"}, {Client: "terminal-2", User: "dan"}, {Client: "1", User: "zoe"}}
	for _, w := range was[1:3] {
		if err := c.rooms.Depart(t.Context(), "general", w); err != nil {
			t.Fatal(err)
		}
	}
	epoch := standing(t, i, "general").Epoch
	next := i.Next(service)
	i.HandOver(next)
	as(t, next, kinds[0], "token-of-bob").subscribe("general")
	heard := make(chan string)
	go func() {
		words, _ := json.Marshal(was)
		heard <- next.VerbFails("join", "general", "--as", "eve", "--on", "terminal-1/"+epoch+"/0", "--was", string(words))
	}()
	for end := time.Now().Add(20 * time.Second); whoIs(t, next)["eve"].Client != "terminal-1"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("eve does not come back")
		}
	}
	next.Verb("kick", "general", "ada")
	next.Verb("kick", "general", "eve")
	if got := <-heard; got != "[general] bob joined\n[general] zoe left\n[general] ada left" { // dan may come still
		t.Errorf("got %s", got)
	}
	if passed := ada.passages(); passed != " +bob" {
		t.Errorf("a client was told%s", passed)
	}
}

// A terminal whose call was told to end for a switch, before it saw that there is one, was seen to leave.
func TestATerminalGoesOnThoughItsCallHasEnded(t *testing.T) {
	i := sdktest.Start(t, sdk.Service{Name: "chat", Version: version, Setup: func(s *sdk.Setup) error {
		c, err := open(s)
		s.Verb(sdk.Verb{Name: "parked", Args: "ROOM", Do: func(ctx context.Context, call *sdk.Call) error {
			ctx, end := context.WithCancelCause(ctx)
			go func() {
				for ctx.Err() == nil && len(c.rooms.Here("general")) < 2 {
					time.Sleep(time.Millisecond)
				}
				end(serve.ErrParking)
			}()
			return c.join(ctx, call)
		}})
		return err
	}}, sdktest.Options{Config: tokens})
	i.Verb("create", "room", "general")
	ada := as(t, i, kinds[0], "token-of-ada")
	ada.subscribe("general")
	if err := i.VerbError("parked", "general"); err == nil || !strings.HasSuffix(err.Error(), errMoved.Error()) {
		t.Errorf("the terminal ends with %v", err)
	}
	i.Verb("kick", "general", "ada")
	if passed := ada.passages(); passed != " +user42" {
		t.Errorf("a client was told%s", passed)
	}
}

// passages are who came and went until the client was put out of the room.
func (c *client) passages() (list string) {
	c.t.Helper()
	for r := c.must(); r.Push == nil || r.Push.Unsubscribe == nil; r = c.must() {
		switch {
		case r.Push == nil:
		case r.Push.Join != nil:
			list += " +" + r.Push.Join.Info.User
		case r.Push.Leave != nil:
			list += " -" + r.Push.Leave.Info.User
		}
	}
	return list
}

func TestNobodyIsToldOfTwice(t *testing.T) {
	who := func(clients ...string) (list []room.Who) {
		for _, c := range clients {
			list = append(list, room.Who{Client: c, User: "user of " + c})
		}
		return list
	}
	r, told := rollOf(who("a", "b", "c")), ""
	for _, p := range append(r.missed(who("b", "d")),
		passage{"left", who("a")[0]}, passage{"joined", who("d")[0]}, passage{"joined", who("a")[0]}, passage{"left", who("b")[0]}) {
		if r.passes(p) {
			told += " " + p.Client + " " + p.Event
		}
	}
	if want := " d joined a left c left a joined b left"; told != want {
		t.Errorf("told%s, want%s", told, want)
	}
}
