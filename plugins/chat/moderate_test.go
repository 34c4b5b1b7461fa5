package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/sdk/sdktest"
)

// isOut expects that a subscription ends.
func (c *client) isOut(code uint32, reason string) {
	c.t.Helper()
	for {
		r := c.must()
		if r.Push == nil || r.Push.Unsubscribe == nil {
			continue
		}
		if r.Push.Unsubscribe.Code != code || r.Push.Unsubscribe.Reason != reason {
			c.t.Fatalf("got %v", r)
		}
		return
	}
}

// refused expects an error.
func refused(t *testing.T, r *protocol.Reply, code uint32, text string) {
	t.Helper()
	if r.Error == nil || r.Error.Code != code || !strings.Contains(r.Error.Message, text) || r.Error.Temporary != (code == 111) {
		t.Errorf("got %v, want %d %s", r, code, text)
	}
}

func TestKick(t *testing.T) {
	i := startWithRoom(t, tokens)
	bob := as(t, i, kinds[0], "token-of-bob")
	bob.subscribe("general")
	ada := []*client{as(t, i, kinds[0], "token-of-ada"), as(t, i, kinds[1], "token-of-ada")}
	for _, c := range ada {
		c.subscribe("general")
	}
	if got := i.Verb("kick", "general", "ada"); got != "ada is kicked from general" {
		t.Errorf("got %s", got)
	}
	for _, c := range ada {
		c.isOut(2000, "kicked")
	}
	for left := 0; left < 2; {
		if r := bob.must(); r.Push != nil && r.Push.Leave != nil && r.Push.Leave.Info.User == "ada" {
			left++
		}
	}
	if err := i.VerbError("kick", "general", "ada"); err == nil || err.Error() != "room general: ada is not here" {
		t.Errorf("got %v", err)
	}
	if r := ada[0].subscribe("general"); r.Subscribe == nil {
		t.Errorf("after a kick one may come back: %v", r)
	}
}

// A terminal is told why it hears nothing any more.
func TestATerminalIsKicked(t *testing.T) {
	i := startWithRoom(t, "")
	for _, tt := range []struct{ verb, args, want string }{
		{"kick", "general eve", "room general: you were kicked"},
		{"ban", "general eve", "room general: you were banned"},
		{"remove", "room general", "room general: it was removed"},
	} {
		ended := make(chan error)
		go func() { ended <- i.VerbError("join", "general", "--as", "eve") }()
		for end := time.Now().Add(20 * time.Second); !strings.Contains(i.Verb("who", "general"), "eve"); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it does not come in")
			}
		}
		i.Verb(tt.verb, strings.Fields(tt.args)...)
		if err := <-ended; err == nil || err.Error() != tt.want {
			t.Errorf("%s: got %v, want %s", tt.verb, err, tt.want)
		}
		if tt.verb == "ban" {
			i.Verb("unban", "general", "eve")
		}
	}
}

func TestABanOutlivesTheService(t *testing.T) {
	i := startWithRoom(t, tokens)
	ada := as(t, i, kinds[0], "token-of-ada")
	ada.subscribe("general")
	if got := i.Verb("ban", "general", "ada", "--reason", "spam"); got != "ada is banned from general" {
		t.Errorf("got %s", got)
	}
	ada.isOut(2000, "banned")
	refused(t, ada.subscribe("general"), 103, "banned")
	refused(t, ada.publish("general", `"x"`), 103, "")
	if err := i.VerbError("send", "general", "hello", "--as", "ada"); err == nil || err.Error() != "room general: ada is banned" {
		t.Errorf("got %v", err)
	}
	next := i.Next(service)
	i.HandOver(next)
	refused(t, ada.subscribe("general"), 103, "banned")
	next.Stop()
	i = startChat(t, sdktest.Options{Config: tokens, StateDir: next.StateDir()})
	ada = as(t, i, kinds[0], "token-of-ada")
	refused(t, ada.subscribe("general"), 103, "banned")
	if got := i.Verb("bans", "general"); got != "KIND  USER  UNTIL   REASON\nban   ada   no end  spam" {
		t.Errorf("got %s", got)
	}
	i.Verb("unban", "general", "ada")
	if err := i.VerbError("unban", "general", "ada"); err == nil {
		t.Error("somebody who is not banned is let in again")
	}
	if r := ada.subscribe("general"); r.Subscribe == nil {
		t.Errorf("got %v", r)
	}
}

func TestABanEndsWithItsTimeAndItsRoom(t *testing.T) {
	i := startWithRoom(t, tokens)
	ada := as(t, i, kinds[0], "token-of-ada")
	i.Verb("ban", "general", "ada", "--for", "1s")
	refused(t, ada.subscribe("general"), 103, "banned")
	for end := time.Now().Add(10 * time.Second); ada.subscribe("general").Subscribe == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the ban does not end")
		}
	}
	i.Verb("ban", "general", "ada")
	i.Verb("remove", "room", "general")
	i.Verb("create", "room", "general")
	if r := ada.subscribe("general"); r.Subscribe == nil {
		t.Errorf("got %v", r)
	}
}

func TestWhoIsMutedHearsAndDoesNotSpeak(t *testing.T) {
	i := startWithRoom(t, tokens)
	ada := as(t, i, kinds[0], "token-of-ada")
	ada.subscribe("general")
	ada.publish("general", `{"text":"one"}`)
	ada.hears(1, "")
	var mute ruling
	if err := json.Unmarshal([]byte(i.Verb("mute", "general", "ada", "--for", "1h", "--json")), &mute); err != nil {
		t.Fatal(err)
	}
	refused(t, ada.publish("general", `{"text":"two"}`), 103, "ada is muted until "+mute.Until)
	refused(t, ada.publish("general", `{"ephemeral":true}`), 103, "muted")
	edit := &protocol.RPCRequest{Method: "edit", Data: []byte(`{"room":"general","offset":1,"data":"two"}`)}
	refused(t, ada.ask(&protocol.Command{Rpc: edit}), 103, "muted")
	i.Verb("crash", "room", "general")
	refused(t, ada.publish("general", `{"text":"two"}`), 103, "muted")
	i.Verb("send", "general", "from another")
	ada.hears(0, "") // of the crash
	ada.hears(2, `{"text":"from another"}`)
	i.Verb("unmute", "general", "ada")
	if r := ada.publish("general", `{"text":"two"}`); r.Publish == nil {
		t.Errorf("got %v", r)
	}
}

func TestSlowMode(t *testing.T) {
	i := startWithRoom(t, tokens)
	ada, bob := as(t, i, kinds[0], "token-of-ada"), as(t, i, kinds[1], "token-of-bob")
	ada.subscribe("general")
	bob.subscribe("general")
	if got := i.Verb("slow", "general", "1h"); got != "general is in slow mode: a message every 1h0m0s from each user" {
		t.Errorf("got %s", got)
	}
	for range 2 { // the second is the first again
		if r := ada.publish("general", `{"text":"one","id":"1"}`); r.Publish == nil {
			t.Fatalf("got %v", r)
		}
	}
	refused(t, ada.publish("general", `{"text":"two"}`), 111, "slow mode: wait 1h0m0s")
	refused(t, ada.rpc("edit", `{"room":"general","offset":1,"data":{"text":"two"}}`), 111, "slow mode") // said to all as well
	if r := bob.publish("general", `{"text":"hello"}`); r.Publish == nil {
		t.Errorf("others wait as well: %v", r)
	}
	i.Verb("crash", "room", "general")
	refused(t, ada.publish("general", `{"text":"two"}`), 111, "slow mode")
	next := i.Next(service)
	i.HandOver(next)
	refused(t, ada.publish("general", `{"text":"two"}`), 111, "slow mode")
	if r := ada.rpc("delete", `{"room":"general","offset":1}`); r.Rpc == nil {
		t.Errorf("got %v", r)
	}
	next.Verb("slow", "general", "0")
	if r := ada.publish("general", `{"text":"two"}`); r.Publish == nil {
		t.Errorf("got %v", r)
	}
}

func TestWhatIsWrongWithAModeratorsWordsIsSaid(t *testing.T) {
	i := startWithRoom(t, "")
	for _, tt := range []struct{ verb, args, want string }{
		{"kick", "nowhere ada", "room nowhere: there is no such room"},
		{"ban", "nowhere ada", "room nowhere: there is no such room"},
		{"bans", "nowhere", "room nowhere: there is no such room"},
		{"unmute", "general ada", "room general: ada is not muted"},
		{"unban", "general ada", "room general: ada is not banned"},
		{"mute", "general ada --for ever", "--for ever: want a duration of at least 1s"},
		{"slow", "general 1ms", "1ms: want 0, or a duration from 1s to 6h"},
	} {
		if err := i.VerbError(tt.verb, strings.Fields(tt.args)...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: got %v, want %s", tt.verb, tt.args, err, tt.want)
		}
	}
}

func TestAUserIsLimited(t *testing.T) {
	i := startWithRoom(t, `{"limit": "3/1h"}`)
	c := as(t, i, kinds[0], "")
	c.subscribe("general")
	for range 2 {
		if r := c.publish("general", `{"text":"hello"}`); r.Publish == nil {
			t.Fatalf("got %v", r)
		}
	}
	remove := &protocol.RPCRequest{Method: "delete", Data: []byte(`{"room":"general","offset":1}`)}
	if r := c.ask(&protocol.Command{Rpc: remove}); r.Rpc == nil {
		t.Fatalf("got %v", r)
	}
	refused(t, c.publish("general", `{"text":"hello"}`), 111, "too many requests: wait")
	refused(t, c.ask(&protocol.Command{Rpc: remove}), 111, "too many requests: wait")
	if got := standing(t, i, "general").Last; got != 3 {
		t.Errorf("%d messages", got)
	}
}
