package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/sdk/sdktest"
)

// streamer is a client without a WebSocket, by hand.
type streamer struct {
	t       testing.TB
	at      string
	lines   *bufio.Scanner
	session string
}

func stream(t testing.TB, i *sdktest.Instance, kind, connect string) *streamer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	c := &streamer{t: t, at: "http://" + i.Addr("clients")}
	res := c.do(ctx, http.MethodGet, "/connection/sse?cf_connect="+url.QueryEscape(connect), "", "")
	if kind == "http_stream" {
		res.Body.Close()
		res = c.do(ctx, http.MethodPost, "/connection/http_stream", connect, "")
	}
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	t.Cleanup(func() { res.Body.Close() })
	c.lines = bufio.NewScanner(res.Body)
	c.lines.Buffer(nil, 1<<20)
	return c
}

func (c *streamer) do(ctx context.Context, method, path, body, origin string) *http.Response {
	c.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, c.at+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// next is the next reply; nil at the end.
func (c *streamer) next() *protocol.Reply {
	c.t.Helper()
	for c.lines.Scan() {
		line := bytes.TrimPrefix(c.lines.Bytes(), []byte("data: "))
		if len(line) == 0 {
			continue
		}
		replies, err := decode(protocol.TypeJSON, line)
		if err != nil || len(replies) != 1 {
			c.t.Fatalf("%q: %v", line, err)
		}
		if r := replies[0]; r.Connect != nil {
			c.session = r.Connect.Session
		}
		return replies[0]
	}
	return nil
}

func (c *streamer) says(session, commands string) int {
	c.t.Helper()
	b, _ := json.Marshal(map[string]string{"session": session, "node": "theseus", "data": commands})
	res := c.do(c.t.Context(), http.MethodPost, "/emulation", string(b), "")
	_ = res.Body.Close()
	return res.StatusCode
}

func TestClientsWithoutAWebSocketTalk(t *testing.T) {
	for _, kind := range []string{"sse", "http_stream"} {
		t.Run(kind, func(t *testing.T) {
			i := startWithRoom(t, tokens)
			ada := stream(t, i, kind, `{"id":1,"connect":{"token":"token-of-ada"}}`)
			if r := ada.next(); r.Connect == nil || ada.session == "" || r.Connect.Node == "" || r.Connect.Session == r.Connect.Client {
				t.Fatalf("got %v", r)
			}
			bob := as(t, i, kinds[1], "token-of-bob")
			bob.subscribe("general")
			commands := `{"id":2,"subscribe":{"channel":"general"}}` + "\n" + `{"id":3,"publish":{"channel":"general","data":{"text":"a\nb"}}}`
			if status := ada.says(ada.session, commands); status != http.StatusNoContent {
				t.Errorf("got %d", status)
			}
			bob.hears(1, `{"text":"a\nb"}`)
			if status := ada.says("forged", `{"id":4,"publish":{"channel":"general","data":1}}`); status != http.StatusNoContent {
				t.Errorf("got %d", status)
			}
			bob.publish("general", `{"text":"hello"}`)
			var got []string
			for len(got) < 4 {
				r := ada.next()
				switch {
				case r.Push != nil && r.Push.Pub != nil:
					got = append(got, fmt.Sprint(r.Push.Pub.Offset, string(r.Push.Pub.Data)))
				case r.Id > 0 && r.Error == nil:
					got = append(got, fmt.Sprint("id ", r.Id))
				}
			}
			if all := strings.Join(got, "|"); !strings.Contains(all, `1{"text":"a\nb"}`) || !strings.Contains(all, `2{"text":"hello"}`) || !strings.Contains(all, "id 3") {
				t.Errorf("got %s", all)
			}
		})
	}
}

// Whoever may not stay is told so as the last word of its stream; its place is free once it has gone.
func TestStreamsEnd(t *testing.T) {
	i := startWithRoom(t, tokens)
	for _, tt := range []struct {
		connect string
		code    uint32
	}{
		{`{"id":1,"connect":{"token":"forged"}}`, 3500},
		{`{"id":1,"subscribe":{"channel":"general"}}`, 3501},
		{``, 3501},
	} {
		c := stream(t, i, "sse", tt.connect)
		if r := c.next(); r == nil || r.Push == nil || r.Push.Disconnect == nil || r.Push.Disconnect.Code != tt.code || c.next() != nil {
			t.Errorf("%s: got %v", tt.connect, r)
		}
	}
	ada := stream(t, i, "sse", `{"id":1,"connect":{"token":"token-of-ada"}}`)
	ada.next()
	ada.says(ada.session, `{"id":2,"subscribe":{"channel":"general"}}`)
	if r := ada.next(); r.Subscribe == nil {
		t.Fatalf("got %v", r)
	}
	next := i.Next(service)
	i.HandOver(next)
	if r := ada.next(); r != nil {
		t.Errorf("got %v from a version that has handed over", r)
	}
	if got := next.Verb("who", "general"); got != "0 in general" {
		t.Errorf("got %s", got)
	}
	if status := ada.says(ada.session, `{"id":3,"ping":{}}`); status != http.StatusNoContent {
		t.Errorf("got %d", status)
	}
}

func TestPagesOfOtherHostsGetNoStreams(t *testing.T) {
	i := startWithRoom(t, `{"origins": ["friend.test"]}`)
	c := &streamer{t: t, at: "http://" + i.Addr("clients")}
	for _, tt := range []struct {
		method, path, origin string
		status               int
	}{
		{http.MethodGet, "/connection/sse", "http://evil.test", 403},
		{http.MethodPost, "/connection/http_stream", "http://evil.test", 403},
		{http.MethodPost, "/emulation", "http://evil.test", 403},
		{http.MethodOptions, "/emulation", "http://evil.test", 403},
		{http.MethodOptions, "/emulation", "https://friend.test", 204},
		{http.MethodPost, "/emulation", "https://friend.test", 400},
		{http.MethodPost, "/emulation", "http://" + i.Addr("clients"), 400},
		{http.MethodGet, "/connection/sse", "https://friend.test", 200},
	} {
		res := c.do(t.Context(), tt.method, tt.path, "x", tt.origin)
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		allowed := res.Header.Get("Access-Control-Allow-Origin")
		if res.StatusCode != tt.status || (allowed == tt.origin) != (tt.status != 403) {
			t.Errorf("%s %s for %s: got %s, %q", tt.method, tt.path, tt.origin, res.Status, allowed)
		}
	}
}

// Whoever asked an address of the clients in another way than they do was told that there is no such page.
func TestAddressesOfClientsSayHowTheyAreAsked(t *testing.T) {
	i := startWithRoom(t, `{}`)
	c := &streamer{t: t, at: "http://" + i.Addr("clients")}
	const noSocket = ": it is for clients that have no WebSocket\n"
	for _, tt := range []struct {
		method, path, header string
		status               int
		text                 string
	}{
		{http.MethodGet, "/connection/websocket", "Upgrade: websocket", 426, "this is the address of a WebSocket: ask for an upgrade\n"},
		{http.MethodPost, "/connection/websocket", "Upgrade: websocket", 426, "this is the address of a WebSocket: ask for an upgrade\n"},
		{http.MethodPost, "/connection/sse", "Allow: GET, OPTIONS", 405, "this address takes GET" + noSocket},
		{http.MethodGet, "/connection/http_stream", "Allow: POST, OPTIONS", 405, "this address takes POST" + noSocket},
		{http.MethodGet, "/emulation", "Allow: POST, OPTIONS", 405, "this address takes POST" + noSocket},
	} {
		res := c.do(t.Context(), tt.method, tt.path, "", "")
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		name, value, _ := strings.Cut(tt.header, ": ")
		if err != nil || res.StatusCode != tt.status || string(text) != tt.text || res.Header.Get(name) != value {
			t.Errorf("%s %s: got %s, %s %q, %q (%v)", tt.method, tt.path, res.Status, name, res.Header.Get(name), text, err)
		}
	}
}
