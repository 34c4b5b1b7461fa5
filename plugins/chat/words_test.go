package main

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/protocol"
	"github.com/golang-jwt/jwt/v5"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
)

// Users without a name, or with one that colours a terminal, were taken; a room's name that cannot be was a failure like another.
func TestWordsThatCannotBeAreWrongUsage(t *testing.T) {
	i := startWithRoom(t, "")
	i.Verb("send", "general", "hello")
	long := strings.Repeat("x", 65)
	for _, tt := range []struct{ words, want string }{
		{"send general hello --as |", `--as: "": ` + room.ErrUser.Error()},
		{"send general hello --as " + long, room.ErrUser.Error()},
		{"send general hello --as \x1b[31mada", room.ErrUser.Error()},
		{"edit general 1 hello --as |", room.ErrUser.Error()},
		{"delete general 1 --as |", room.ErrUser.Error()},
		{"join general --as |", room.ErrUser.Error()},
		{"kick general |", room.ErrUser.Error()},
		{"ban general |", room.ErrUser.Error()},
		{"unban general " + long, room.ErrUser.Error()},
		{"mute general |", room.ErrUser.Error()},
		{"unmute general |", room.ErrUser.Error()},
		{"create room |", `"": ` + room.ErrName.Error()},
		{"create room größe", room.ErrName.Error()},
		{"create room a/b", room.ErrName.Error()},
		{"remove room " + long, room.ErrName.Error()},
		{"who a/b", room.ErrName.Error()},
		{"send general |", "the text is empty"},
		{"send general \u00a0", "the text is empty"},
		{"send general " + strings.Repeat("x", maxText+1), "the text has 60001 bytes: want at most 60000"},
		{"edit general 1 |", "the text is empty"},
		{"send general hello --id |", room.ErrID.Error()},
		{"send general hello --id " + strings.Repeat("x", 129), room.ErrID.Error()},
		{"crash general x", `"general": want the word room`},
		{"create general", "create takes 2 arguments, not 1"},
	} {
		var words []string
		for _, word := range strings.Split(tt.words, " ") {
			words = append(words, strings.TrimSuffix(word, "|"))
		}
		var usage *sdk.UsageError
		if err := i.VerbError(words[0], words[1:]...); !errors.As(err, &usage) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.40q: got %v, want %s", tt.words, err, tt.want)
		}
	}
	if got := i.Verb("history", "general"); got != "1 [general] user42: hello" {
		t.Errorf("got %s", got)
	}
}

func TestClientsHaveNamesThatUsersMayHave(t *testing.T) {
	i := startChat(t, sdktest.Options{})
	c := connect(t, i, kinds[0])
	named := &protocol.ConnectRequest{Data: []byte(`{"user":"\u001b[31mada"}`)}
	refused(t, c.ask(&protocol.Command{Connect: named}), 107, room.ErrUser.Error())
	named.Data = []byte(`{"user":"ada"}`)
	if r := c.ask(&protocol.Command{Connect: named}); r.Connect == nil {
		t.Errorf("got %v", r)
	}
	const secret = "a secret of thirty-two characters"
	i = startChat(t, sdktest.Options{Config: `{"secret": "` + secret + `"}`})
	for _, name := range []string{"", "ada\n", strings.Repeat("x", 65)} {
		c := connect(t, i, kinds[0])
		token := signed(t, secret, jwt.SigningMethodHS256, jwt.MapClaims{"sub": name})
		c.send(&protocol.Command{Id: 1, Connect: &protocol.ConnectRequest{Token: token}})
		if _, err := c.next(); err == nil || err.Error() != "closed 3500 sub of the token: "+room.ErrUser.Error() {
			t.Errorf("%q: got %v", name, err)
		}
	}
	wrong := sdk.Service{Name: "chat", Version: version, Setup: setup}
	_, err := sdk.StartLocal(t.Context(), wrong, sdk.LocalOptions{StateDir: t.TempDir(), Config: []byte(`{"tokens": {"secret-token": ""}}`)})
	if !errors.Is(err, room.ErrUser) || strings.Contains(err.Error(), "secret-token") {
		t.Errorf("got %v", err)
	}
}

// What a moderator edited was printed as the moderator's, and as JSON.
func TestAnEditIsPrintedAsItsAuthors(t *testing.T) {
	i := startWithRoom(t, "")
	i.Verb("send", "general", "one", "--as", "ada")
	for _, tt := range []struct{ words, want string }{
		{"edit general 1 two", "[general] ada: two (message 1 edited by user42)"},
		{"edit general 1 three --as ada", "[general] ada: three (message 1 edited)"},
		{"delete general 1", "[general] ada: (message 1 deleted by user42)"},
	} {
		words := strings.Fields(tt.words)
		if got := i.Verb(words[0], words[1:]...); got != tt.want {
			t.Errorf("%s: got %s", tt.words, got)
		}
	}
	want := "1 [general] ada: (deleted)\n2 [general] ada: (message 1 edited by user42)\n" +
		"3 [general] ada: (message 1 edited)\n4 [general] ada: (message 1 deleted by user42)"
	if got := i.Verb("history", "general"); got != want {
		t.Errorf("got %s", got)
	}
	if err := i.VerbError("edit", "general", "2", "x"); err == nil || !strings.Contains(err.Error(), "message 2 tells of a change of another") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsHeardIsPrintedWithWhoseItIs(t *testing.T) {
	edit := room.Change{Type: "edit", Offset: 1, User: "ada", Data: room.Say("two")}
	told, _ := json.Marshal(edit)
	for _, tt := range []struct {
		name string
		m    room.Message
		want string
	}{
		{"a message", room.Message{User: "ada", Data: room.Say("one")}, "[general] ada: one"},
		{"an edited one", room.Message{User: "ada", Data: room.Say("one"), Edited: time.Now()}, "[general] ada: one (edited)"},
		{"an edit by somebody else", room.Message{User: "bob", Data: told}, "[general] ada: two (message 1 edited by bob)"},
		{"an edit by the author", room.Message{User: "ada", Data: told}, "[general] ada: two (message 1 edited)"},
		{"a notice", room.Message{Data: []byte(`{"type":"notice","text":"the room crashed"}`)}, "[general] the room crashed"},
		{"what looks like an edit", room.Message{User: "ada", Data: []byte(`{"type":"edit","offset":"x"}`)}, `[general] ada: {"type":"edit","offset":"x"}`},
	} {
		if got := said("general", room.Entry{Offset: 2, Message: tt.m}); got != tt.want {
			t.Errorf("%s: got %s", tt.name, got)
		}
	}
}

func TestNoMessagesIsNotNoSuchMessages(t *testing.T) {
	i := startWithRoom(t, "")
	if got := i.Verb("history", "general"); got != "no messages in general" {
		t.Errorf("got %s", got)
	}
	i.Verb("send", "general", "one")
	if got := i.Verb("history", "general", "--since", "9"); got != "no such messages in general: the last is 1" {
		t.Errorf("got %s", got)
	}
}

// jsonOf is what each verb with --json says of what it has done.
var jsonOf = []struct{ words, want string }{
	{"create room hall", `{"room":"hall","done":"created","pid":"<PID>"}`},
	{"crash room hall", `{"room":"hall","done":"crashed","pid":"<PID>","before":"<PID>"}`},
	{"remove room hall", `{"room":"hall","done":"removed"}`},
	{"send general <hi> --as ada --id 1", `{"room":"general","done":"sent","offset":1,"epoch":"EPOCH","user":"ada","text":"<hi>"}`},
	{"send general <hi> --as ada --id 1", `{"room":"general","done":"sent","offset":1,"epoch":"EPOCH","user":"ada","again":true}`},
	{"edit general 1 ho", `{"room":"general","done":"edited","offset":2,"epoch":"EPOCH","message":1,"user":"ada","by":"user42","text":"ho"}`},
	{"delete general 1", `{"room":"general","done":"deleted","offset":3,"epoch":"EPOCH","message":1,"user":"ada","by":"user42"}`},
	{"ban general ada --for 1h --reason spam", `{"room":"general","done":"banned","user":"ada","until":"TIME"}`},
	{"bans general", `[{"kind":"ban","user":"ada","since":"TIME","until":"TIME","reason":"spam"}]`},
	{"unban general ada", `{"room":"general","done":"unbanned","user":"ada"}`},
	{"mute general ada", `{"room":"general","done":"muted","user":"ada"}`},
	{"unmute general ada", `{"room":"general","done":"unmuted","user":"ada"}`},
	{"slow general 90s", `{"room":"general","done":"slowed","pace":"1m30s"}`},
	{"rooms", `[{"room":"general","pid":"<PID>","members":0,"epoch":"EPOCH","created":"TIME","first":1,"last":3,"bytes":290,"pace":"1m30s"}]`},
	{"slow general 0", `{"room":"general","done":"unslowed","pace":"0s"}`},
	{"rooms", `[{"room":"general","pid":"<PID>","members":0,"epoch":"EPOCH","created":"TIME","first":1,"last":3,"bytes":290}]`},
	{"who general", `[]`},
	{
		"history general --last 1",
		`{"room":"general","epoch":"EPOCH","last":3,"messages":[{"offset":3,"user":"user42","at":"TIME","data":{"type":"delete","offset":1,"user":"ada"}}]}`,
	},
	{"stats", `{"rooms":1,"members":0,"messages":3,"crashes":1,"clients":{"closed":{},"slow":0}}`},
	{
		"bench --n 1 --rooms 1 --members 1", `{"acknowledged":{"per_second":0,"p50":"TOOK","p99":"TOOK","max":"TOOK"},` +
			`"heard":{"per_second":0,"p50":"TOOK","p99":"TOOK","max":"TOOK"},"lost":0,"twice":0}`,
	},
}

var vary = []struct {
	what *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`<0\.\d+\.\d+>`), "<PID>"},
	{regexp.MustCompile(`"epoch":"[A-Z2-7]{8}"`), `"epoch":"EPOCH"`},
	{regexp.MustCompile(`"20\d\d-[^"]*Z"`), `"TIME"`},
	{regexp.MustCompile(`"(p50|p99|max)":"[0-9.]+[nµm]?s"`), `"$1":"TOOK"`},
	{regexp.MustCompile(`"per_second":[0-9.e+]+`), `"per_second":0`},
}

// joined is what a user at a terminal hears until thrown out, as JSON.
func joined(t *testing.T, i *sdktest.Instance, user string) chan string {
	t.Helper()
	heard := make(chan string)
	go func() { heard <- i.VerbFails("join", "general", "--json", "--as", user) }()
	for end := time.Now().Add(20 * time.Second); i.Verb("who", "general") == "0 in general"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody comes in")
		}
	}
	return heard
}

// The outcome of some verbs was a word of its own, and a pace was a number of nanoseconds in one and a text in another.
func TestJSONOfEveryVerb(t *testing.T) {
	i := startWithRoom(t, "")
	heard := joined(t, i, "eve")
	if got := i.Verb("kick", "general", "eve", "--json"); got != `{"room":"general","done":"kicked","user":"eve"}` {
		t.Errorf("kick: got %s", got)
	}
	<-heard
	tried := []string{"kick", "export", "join"} // export is JSON anyway; join see below
	for _, tt := range jsonOf {
		words := append(strings.Fields(tt.words), "--json")
		got := i.Verb(words[0], words[1:]...)
		for _, v := range vary {
			got = v.what.ReplaceAllString(got, v.name)
		}
		if got != tt.want {
			t.Errorf("%s: got\n%s, want\n%s", tt.words, got, tt.want)
		}
		tried = append(tried, words[0])
	}
	d, err := sdk.Describe(service)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range d.Verbs {
		if !slices.Contains(tried, v.Name) || v.Examples == "" {
			t.Errorf("%s: nobody tries it, or it has no examples", v.Name)
		}
	}
}

// Who came and who went looked the same to a program.
func TestJSONOfWhatATerminalHears(t *testing.T) {
	i := startWithRoom(t, "")
	heard := joined(t, i, "eve")
	c := as(t, i, kinds[0], "")
	c.subscribe("general")
	c.ask(&protocol.Command{Unsubscribe: &protocol.UnsubscribeRequest{Channel: "general"}})
	i.Verb("kick", "general", "eve")
	got := strings.Split(<-heard, "\n")
	if len(got) != 3 || !strings.HasPrefix(got[1], `{"event":"joined","client":"`) || !strings.HasPrefix(got[2], `{"event":"left","client":"`) {
		t.Errorf("got %q", got)
	}
}

// What a token tells of its user was printed in base64.
func TestInfoOfAUserIsJSONInJSON(t *testing.T) {
	const secret = "a secret of thirty-two characters"
	i := startWithRoom(t, `{"secret": "`+secret+`"}`)
	c := as(t, i, kinds[1], signed(t, secret, jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ada", "info": map[string]int{"age": 36}}))
	c.subscribe("general")
	if got := i.Verb("who", "general", "--json"); !strings.Contains(got, `"user":"ada","info":{"age":36}}`) {
		t.Errorf("got %s", got)
	}
}
