package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
)

// Bytes that are no UTF-8 came through protobuf and HTTP into the history: browsers hang up on a text that has them, each time they
// recover. What was nested deeply enough threw in every page that showed it, and an EventSource broke at a carriage return.
func TestWhatIsSaidIsReadableForEveryClient(t *testing.T) {
	i := startWithRoom(t, "")
	c := as(t, i, protocol.TypeProtobuf, "")
	c.subscribe("general")
	c.publish("general", `"mine"`)
	for name, data := range map[string]string{
		"no UTF-8":       "{\"text\":\"\xff\"}",
		"deep":           strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"two values":     `1 2`,
		"nothing at all": ` `,
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, c.publish("general", data), 107, "")
			edit, _ := json.Marshal(map[string]any{"room": "general", "offset": 1, "data": "DATA"})
			edit = []byte(strings.Replace(string(edit), `"DATA"`, data, 1))
			refused(t, c.ask(&protocol.Command{Rpc: &protocol.RPCRequest{Method: "edit", Data: edit}}), 107, "")
		})
	}
	ada := as(t, i, protocol.TypeJSON, "")
	ada.subscribe("general")
	if r := c.publish("general", "{\r\n\t\"text\":\r\"a \\n b\"\n}\r"); r.Publish == nil {
		t.Errorf("got %v", r)
	}
	ada.hears(2, `{"text":"a \n b"}`)
}

// A type was taken from the last of several fields, whatever its case, where pages take another one: anybody could say what only the
// room says. An edit was not looked at.
func TestNobodySpeaksForTheRoom(t *testing.T) {
	i := startWithRoom(t, "")
	c := as(t, i, protocol.TypeJSON, "")
	c.subscribe("general")
	c.publish("general", `"mine"`)
	for _, data := range []string{
		`{"type":"notice","text":"the chat moves to evil.test"}`,
		`{"type":"notice","TYPE":"x","text":"the chat moves to evil.test"}`,
		`{"Type":1,"type":"notice","text":"the chat moves to evil.test"}`,
		`{"type":"delete","type":"x","offset":1}`,
		`{"type":"x","type":"edit","offset":1}`,
		`{"typ\u0065":"notice"}`,
	} {
		refused(t, c.publish("general", data), 107, "")
		refused(t, c.publish("general", strings.Replace(data, "{", `{"ephemeral":true,`, 1)), 107, "")
		edit := []byte(`{"room":"general","offset":1,"data":` + data + `}`)
		refused(t, c.ask(&protocol.Command{Rpc: &protocol.RPCRequest{Method: "edit", Data: edit}}), 107, "")
	}
	if r := c.publish("general", `{"kind":"notice","data":{"type":"notice"}}`); r.Publish == nil {
		t.Errorf("got %v", r)
	}
}

// asks is the answer to a request that a browser might make.
func asks(t *testing.T, i *sdktest.Instance, path string, headers ...string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.Addr("clients")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	r.Host = r.Header.Get("Host") // that of the address if there is none
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK || res.StatusCode == http.StatusSwitchingProtocols {
		return res.StatusCode, "" // it does not end
	}
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

var upgrade = []string{
	"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
}

// Streams were not counted, and took the descriptors of everybody.
func TestAClientTooManyIsToldSo(t *testing.T) {
	i := startWithRoom(t, `{"clients": 2}`)
	ada := as(t, i, kinds[0], "")
	stream(t, i, "sse", `{"id":1,"connect":{}}`).next()
	for path, headers := range map[string][]string{"/connection/websocket": upgrade, "/connection/sse?cf_connect=%7B%7D": nil} {
		if status, body := asks(t, i, path, headers...); status != 503 || body != "there are too many connections\n" {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
	if status, _ := asks(t, i, "/rooms/general"); status != 200 {
		t.Errorf("got %d for the page", status)
	}
	ada.nc.Close()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		status, _ := asks(t, i, "/connection/websocket", upgrade...)
		if status == 101 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("got %d once there is room", status)
		}
	}
}

// An image of any page, whose address was that of an EventSource, connected to an open chat and spoke in it: browsers name no origin
// with an image.
func TestPagesOfOtherHostsSayNothingByAnImage(t *testing.T) {
	i := startWithRoom(t, "")
	words := `{"id":1,"connect":{}}` + "\n" + `{"id":2,"subscribe":{"channel":"general"}}` + "\n" + `{"id":3,"publish":{"channel":"general","data":"spam"}}`
	if status, _ := asks(t, i, "/connection/sse?cf_connect="+url.QueryEscape(words)); status != 400 {
		t.Errorf("an address that speaks: got %d", status)
	}
	words, _, _ = strings.Cut(words, "\n{\"id\":3")
	at := "/connection/sse?cf_connect=" + url.QueryEscape(words)
	for from, want := range map[string]int{"cross-site": 403, "same-site": 403, "same-origin": 200, "none": 200} {
		if status, _ := asks(t, i, at, "Sec-Fetch-Site", from); status != want {
			t.Errorf("%s: got %d, want %d", from, status, want)
		}
	}
	if got := standing(t, i, "general").Last; got != 0 {
		t.Errorf("%d messages", got)
	}
}

// A page whose host name was made to lead to 127.0.0.1 read an open chat of this machine and spoke in it: its origin is the host that
// its browser asks.
func TestAnOpenChatOfThisMachineKnowsItsNames(t *testing.T) {
	open, closed := startWithRoom(t, `{"origins": ["chat.test", "chat.test:8000"]}`), startWithRoom(t, tokens)
	port := open.Addr("clients")[strings.LastIndex(open.Addr("clients"), ":"):]
	for _, tt := range []struct {
		i      *sdktest.Instance
		host   string
		status int
	}{
		{open, "evil.test", 403},
		{open, "evil.test" + port, 403},
		{open, "127.0.0.1.evil.test", 403},
		{open, "localhost.evil.test", 403},
		{open, "chat.test:8001", 403},
		{open, "chat.test", 200},
		{open, "chat.test:8000", 200},
		{open, "127.0.0.1" + port, 200},
		{open, "[::1]" + port, 200},
		{open, "192.0.2.1", 200},
		{open, "localhost" + port, 200},
		{open, "LOCALHOST", 200},
		{closed, "evil.test", 200},
	} {
		for path, want := range map[string]int{
			"/rooms/general": tt.status, "/connection/sse?cf_connect=%7B%22id%22:1,%22connect%22:%7B%7D%7D": tt.status, "/connection/websocket": tt.status,
		} {
			headers := []string{"Host", tt.host, "Origin", "http://" + tt.host}
			if path == "/connection/websocket" {
				headers = append(headers, upgrade...)
				want = map[int]int{200: 101, 403: 403}[want]
			}
			if status, body := asks(t, tt.i, path, headers...); status != want {
				t.Errorf("%s of %s: got %d %s", path, tt.host, status, body)
			}
		}
	}
}

// What was told and not kept was printed without its user: anybody wrote lines at a terminal that looked like those of another, or of
// the room.
func TestATerminalShowsNothingThatIsNotSaid(t *testing.T) {
	i := startWithRoom(t, "")
	said := make(chan string)
	go func() { said <- i.VerbFails("join", "general", "--as", "eve") }()
	c := as(t, i, kinds[0], "")
	c.subscribe("general")
	for end := time.Now().Add(20 * time.Second); !strings.Contains(i.Verb("who", "general"), "eve"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come in")
		}
	}
	c.publish("general", `{"ephemeral":true,"text":"ada: send me your token"}`)
	i.Verb("crash", "room", "general")
	i.Verb("send", "general", "the last word")
	c.hears(0, "") // eve has joined before, and is told before
	c.hears(0, "")
	c.hears(1, "")
	i.Verb("kick", "general", "eve")
	if got := <-said; strings.Contains(got, "token") || !strings.Contains(got, "crashed") || !strings.Contains(got, "the last word") {
		t.Errorf("got %s", got)
	}
}

// What cannot be meant is said at the start, not found out by clients.
func TestSettingsThatCannotBeMeantAreRefused(t *testing.T) {
	for config, want := range map[string]string{
		`{"origins": ["https://app.example.org"]}`: "want hosts",
		`{"queue": 65536}`:                         "want at least 131072 bytes",
		`{"clients": -1}`:                          "want a number of connections",
		`{"secret": "short"}`:                      "want at least 32 characters",
		`{"secret": "0123456789abcdef0123456789abcdef", "slow": "never"}`: "want disconnect or skip",
		`{"ping": "1ms"}`: "at least 1s",
		`{"limit": "20"}`: "want a number and a duration",
	} {
		_, err := sdk.StartLocal(t.Context(), service, sdk.LocalOptions{StateDir: t.TempDir(), Config: []byte(config)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", config, err)
		}
	}
}
