package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
)

var service = sdk.Service{Name: "chat", Version: version, Setup: setup}

func startChat(t testing.TB, o sdktest.Options) *sdktest.Instance {
	t.Helper()
	return sdktest.Start(t, service, o)
}

func TestSeedWords(t *testing.T) {
	i := startChat(t, sdktest.Options{})
	if got := i.Verb("create", "room", "general"); !strings.HasPrefix(got, "room general: pid=<0.") || !strings.HasSuffix(got, ">") {
		t.Errorf("got %q", got)
	}
	for _, tt := range []struct{ want, verb, args string }{
		{"[general] user42: hello", "send", "general|hello"},
		{"room general crashed; supervisor restarted it", "crash", "room|general"},
		{"[general] ada: again", "send", "general|again|--as|ada"},
		{"1 [general] user42: hello\n2 [general] ada: again", "history", "general"},
		{"2 [general] ada: again", "history", "general|--since|1"},
		{"2 [general] ada: again", "history", "general|--last|1"},
		{"0 in general", "who", "general"},
		{"rooms=1 members=0 messages=2 crashes=1", "stats", ""},
	} {
		var args []string
		if tt.args != "" {
			args = strings.Split(tt.args, "|")
		}
		if got := i.Verb(tt.verb, args...); got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.verb, tt.args, got, tt.want)
		}
	}
}

// standing is what `rooms --json` says of a room.
func standing(t *testing.T, i *sdktest.Instance, name string) room.Standing {
	t.Helper()
	var all []room.Standing
	if err := json.Unmarshal([]byte(i.Verb("rooms", "--json")), &all); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no room %s", name)
	return room.Standing{}
}

func TestARoomCrashesAlone(t *testing.T) {
	i := startChat(t, sdktest.Options{})
	i.Verb("create", "room", "general")
	i.Verb("create", "room", "random")
	i.Verb("send", "general", "one")
	general, random := standing(t, i, "general"), standing(t, i, "random")
	i.Verb("crash", "room", "general")
	i.Verb("send", "general", "two")
	after := standing(t, i, "general")
	if after.PID == general.PID || after.PID == "" {
		t.Errorf("before the crash %s, after it %s", general.PID, after.PID)
	}
	if after.Epoch != general.Epoch || after.Last != 2 {
		t.Errorf("epoch %s and offset %d, before %s and %d", after.Epoch, after.Last, general.Epoch, general.Last)
	}
	if got := standing(t, i, "random"); got.PID != random.PID {
		t.Errorf("the other room had %s and has %s", random.PID, got.PID)
	}
}

const cure = "chatctl create room general starts it again"

func TestARoomThatDoesNotStopCrashingStaysDownAlone(t *testing.T) {
	i := startChat(t, sdktest.Options{})
	i.Verb("create", "room", "general")
	i.Verb("create", "room", "random")
	random := standing(t, i, "random").PID
	i.Verb("send", "general", "one")
	for range room.Intensity {
		i.Verb("crash", "room", "general")
	}
	err := i.VerbError("crash", "room", "general")
	if err == nil || err.Error() != "room general crashed; its supervisor gave up: more than 3 restarts within 5s\n"+cure {
		t.Errorf("got %v", err)
	}
	const down = "room general is down (more than 3 restarts within 5s): " + cure
	for _, words := range []string{"send general two", "crash room general", "join general"} { // a crash used to start it
		word := strings.Fields(words)
		if err := i.VerbError(word[0], word[1:]...); err == nil || err.Error() != down {
			t.Errorf("%s: got %v", words, err)
		}
	}
	if got := i.Verb("rooms"); !strings.HasSuffix(got, "\n"+down) || strings.Contains(got, "random is down") {
		t.Errorf("got %s", got)
	}
	if got := standing(t, i, "random").PID; got != random {
		t.Errorf("the other room had %s and has %s", random, got)
	}
	i.Verb("create", "room", "general")
	if got := i.Verb("send", "general", "two", "--json"); !strings.Contains(got, `"offset":2`) {
		t.Errorf("got %s", got)
	}
}

func TestRoomsGoOnInTheNextStart(t *testing.T) {
	i := startChat(t, sdktest.Options{})
	i.Verb("create", "room", "general")
	for range 3 {
		i.Verb("send", "general", "text")
	}
	before := standing(t, i, "general")
	i.Stop()
	i = startChat(t, sdktest.Options{StateDir: i.StateDir()})
	i.Verb("send", "general", "text")
	if got := standing(t, i, "general"); got.Epoch != before.Epoch || got.Last != 4 || got.PID != before.PID {
		t.Errorf("got %+v, before %+v", got, before)
	}
}

func TestAnIDIsSaidOnce(t *testing.T) {
	i := startChat(t, sdktest.Options{})
	i.Verb("create", "room", "general")
	i.Verb("send", "general", "hello", "--id", "a")
	i.Verb("send", "general", "hello", "--id", "b")
	i.Verb("send", "general", "hello", "--id", "a", "--as", "ada")
	again := func() {
		t.Helper()
		if got := i.Verb("send", "general", "hello", "--id", "a", "--json"); !strings.Contains(got, `"offset":1,`) || !strings.Contains(got, `"again":true`) {
			t.Errorf("got %s", got)
		}
	}
	again()
	i.Verb("crash", "room", "general")
	again()
	i.Stop()
	i = startChat(t, sdktest.Options{StateDir: i.StateDir()})
	again()
	if got := standing(t, i, "general").Last; got != 3 {
		t.Errorf("%d messages", got)
	}
}

func TestEditAndDelete(t *testing.T) {
	i := startChat(t, sdktest.Options{})
	i.Verb("create", "room", "general")
	i.Verb("send", "general", "hello")
	i.Verb("send", "general", "secret", "--as", "ada")
	if err := i.VerbError("edit", "general", "2", "mine", "--as", "bob"); err == nil || !strings.Contains(err.Error(), "somebody else's") {
		t.Errorf("got %v", err)
	}
	i.Verb("edit", "general", "1", "hello all")
	i.Verb("delete", "general", "2", "--as", "ada")
	want := "1 [general] user42: hello all (edited)\n2 [general] ada: (deleted)"
	if got := i.Verb("history", "general"); !strings.HasPrefix(got, want) {
		t.Errorf("got %s", got)
	}
	if got := i.Verb("export", "general"); strings.Contains(got, "secret") || !strings.Contains(got, `"type":"delete"`) {
		t.Errorf("got %s", got)
	}
	for _, at := range []string{"2", "4"} { // what is deleted, and what tells of it
		if err := i.VerbError("edit", "general", at, "secret"); err == nil {
			t.Errorf("message %s was edited", at)
		}
	}
}

// What an edit had said was kept in the message that told of it, and stayed when the message was deleted.
func TestADeletedMessageIsGoneWithItsEdits(t *testing.T) {
	i := startWithRoom(t, "")
	c := as(t, i, kinds[0], "")
	epoch := c.subscribe("general").Subscribe.Epoch
	i.Verb("send", "general", "one")
	i.Verb("edit", "general", "1", "secret")
	c.hears(1, "")
	c.hears(2, `{"type":"edit","offset":1,"user":"user42","data":{"text":"secret"}}`)
	i.Verb("delete", "general", "1")
	c.hears(3, `{"type":"delete","offset":1,"user":"user42"}`)
	if got := i.Verb("export", "general"); strings.Contains(got, "secret") {
		t.Errorf("it is still there: %s", got)
	}
	again := as(t, i, kinds[0], "")
	q := &protocol.SubscribeRequest{Channel: "general", Recover: true, Epoch: epoch, Offset: 1}
	r := again.ask(&protocol.Command{Subscribe: q}).Subscribe
	if len(r.Publications) != 2 || string(r.Publications[0].Data) != `{"type":"edit","offset":1,"user":"user42"}` {
		t.Errorf("got %v", r)
	}
}

func TestWhatIsWrongIsSaid(t *testing.T) {
	i := startChat(t, sdktest.Options{})
	i.Verb("create", "room", "general")
	for _, tt := range []struct{ verb, args, want string }{
		{"create", "room general", "room general: the room is there already"},
		{"create", "hall general", `"hall": want the word room`},
		{"create", "room a/b", "the name of a room has 1 to 64"},
		{"send", "nowhere hello", "room nowhere: there is no such room"},
		{"crash", "room nowhere", "room nowhere: there is no such room"},
		{"history", "nowhere", "room nowhere: there is no such room"},
		{"who", "nowhere", "room nowhere: there is no such room"},
		{"remove", "room nowhere", "room nowhere: there is no such room"},
		{"history", "general --since yesterday", "want the number of a message"},
		{"history", "general --last 0", "want a whole number from 1"},
		{"edit", "general 7 text", "room general: message 7: there is no such message"},
		{"delete", "general x", "x is no number of a message"},
		{"join", "general --on general/1", "want CLIENT/EPOCH/OFFSET"},
		{"join", "general --on a/b/c", "c is no offset"},
		{"join", "general --on a/b/1 --was x", "--was: invalid character"},
		{"join", "general --on a/another/1", "room general: it was removed"},
		{"join", "nowhere", "room nowhere: there is no such room"},
	} {
		if err := i.VerbError(tt.verb, strings.Fields(tt.args)...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: got %v, want %s", tt.verb, tt.args, err, tt.want)
		}
	}
}

func TestARoomIsRemoved(t *testing.T) {
	i := startChat(t, sdktest.Options{})
	i.Verb("create", "room", "general")
	i.Verb("send", "general", "hello")
	i.Verb("remove", "room", "general")
	if err := i.VerbError("send", "general", "hello"); err == nil {
		t.Error("a room that was removed takes a message")
	}
	i.Verb("create", "room", "general")
	if got := i.Verb("history", "general"); got != "no messages in general" {
		t.Errorf("got %s", got)
	}
}

// The members of a room that was removed stayed in it, and heard what was said in the next one of its name.
func TestMembersOfARoomThatIsRemovedAreOut(t *testing.T) {
	i := startWithRoom(t, tokens)
	ada, bob := as(t, i, kinds[0], "token-of-ada"), as(t, i, kinds[1], "token-of-bob")
	before := ada.subscribe("general").Subscribe.Epoch
	bob.subscribe("general")
	for n := range 10 {
		i.Verb("send", "general", strconv.Itoa(n))
	}
	i.Verb("remove", "room", "general")
	i.Verb("create", "room", "general")
	if got := i.Verb("who", "general"); got != "0 in general" {
		t.Errorf("got %s", got)
	}
	i.Verb("send", "general", "in the next one")
	for _, c := range []*client{ada, bob} {
		for heard := uint64(0); ; {
			r := c.must()
			if r.Push != nil && r.Push.Pub != nil {
				if heard++; r.Push.Pub.Offset != heard || heard > 10 {
					t.Fatalf("got %v", r)
				}
			}
			if r.Push != nil && r.Push.Unsubscribe != nil {
				if r.Push.Unsubscribe.Code != 2000 {
					t.Errorf("got %v", r)
				}
				break
			}
		}
		if r := c.publish("general", `"x"`); r.Error == nil || r.Error.Code != 103 {
			t.Errorf("got %v", r)
		}
	}
	if r := ada.subscribe("general").Subscribe; r == nil || r.Epoch == before || r.Offset != 1 {
		t.Errorf("got %v", r)
	}
}

// What others had written could clear a terminal, colour it, or look like a line of somebody else.
func TestWhatIsPrintedDoesNothingToATerminal(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"grüße, 你好 👩‍👩‍👧 `x` \"y\" \\", "grüße, 你好 👩‍👩‍👧 `x` \"y\" \\"},
		{"\x1b[2Jhello", `\x1b[2Jhello`},
		{"one\n[general] ada: two\r", `one\n[general] ada: two\r`},
		{"\u009b31m", `\u009b31m`},
		{"a\u202eb\u2028c", `a\u202eb\u2028c`},
		{"a\xffb\ufffd", `a\xffb` + "\ufffd"},
	} {
		if got := plain(tt.text); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
	i := startChat(t, sdktest.Options{})
	i.Verb("create", "room", "general")
	text := "\x1b[2Jhello\nthere \u009b31m\u202e\u200f\x7f\u2028👩‍👩‍👧"
	all := i.Verb("send", "general", text) + i.Verb("send", "general", text, "--json") + i.Verb("history", "general")
	for _, words := range [][]string{{"history", "general", "--last", "1", "--json"}, {"export", "general"}} {
		got := i.Verb(words[0], words[1:]...)
		var e struct{ Messages []entry }
		if err := json.Unmarshal([]byte(got), &e); words[0] == "history" && (err != nil || (room.Message{Data: e.Messages[0].Data}).Text() != text) {
			t.Errorf("%s is another JSON: %s (%v)", words[0], got, err)
		}
		all += got
	}
	if strings.ContainsFunc(strings.ReplaceAll(all, "\n", ""), room.Acts) || strings.Contains(all, "\nthere") {
		t.Errorf("got %q", all)
	}
}
