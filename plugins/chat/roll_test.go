package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk/sdktest"
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
	i := startWithRoom(t, tokens)
	as(t, i, kinds[0], "token-of-ada").subscribe("general")
	was, _ := json.Marshal([]room.Who{whoIs(t, i)["ada"], {Client: "terminal-1", User: "eve"}, {Client: "terminal-2", User: "dan"}, {Client: "1", User: "zoe"}})
	as(t, i, kinds[0], "token-of-bob").subscribe("general")
	epoch, heard := standing(t, i, "general").Epoch, make(chan string)
	go func() {
		heard <- i.VerbFails("join", "general", "--as", "eve", "--on", "terminal-1/"+epoch+"/0", "--was", string(was))
	}()
	for end := time.Now().Add(20 * time.Second); whoIs(t, i)["eve"].Client != "terminal-1"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("eve does not come back")
		}
	}
	i.Verb("kick", "general", "ada")
	i.Verb("kick", "general", "eve")
	if got := <-heard; got != "[general] bob joined\n[general] zoe left\n[general] ada left" { // dan may come still
		t.Errorf("got %s", got)
	}
}

func TestNobodyIsToldOfTwice(t *testing.T) {
	who := func(clients ...string) (list []room.Who) {
		for _, c := range clients {
			list = append(list, room.Who{Client: c, User: "user of " + c})
		}
		return list
	}
	told := func(list ...passage) (text string) {
		for _, p := range list {
			text += " " + p.Client + " " + p.Event
		}
		return text
	}
	r := newRoll(who("a", "b", "terminal-c"))
	if got := told(r.compare(who("b", "d"), true)...); got != " d joined a left" {
		t.Errorf("with patience: got%s", got)
	}
	for _, p := range []passage{{"left", who("a")[0]}, {"joined", who("d")[0]}, {"joined", who("b")[0]}} {
		if r.passes(p) {
			t.Errorf("it is told again:%s", told(p))
		}
	}
	if got := told(r.compare(who("b", "d"), false)...); got != " terminal-c left" {
		t.Errorf("without: got%s", got)
	}
	for _, p := range []passage{{"joined", who("a")[0]}, {"left", who("a")[0]}, {"left", who("b")[0]}, {"left", who("unknown")[0]}} {
		if !r.passes(p) {
			t.Errorf("it is not told:%s", told(p))
		}
	}
}
