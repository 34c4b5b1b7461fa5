package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/protocol"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/golang-jwt/jwt/v5"

	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/serve/ws/wstest"
)

// client speaks the protocol by hand.
type client struct {
	t    testing.TB
	nc   net.Conn
	r    *bufio.Reader
	kind protocol.Type
	got  []*protocol.Reply // of a frame, not looked at yet
	kept []*protocol.Reply // pushes that came before an answer
	last uint32
}

func connect(t testing.TB, i *sdktest.Instance, kind protocol.Type) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d := ws.Dialer{}
	if kind == protocol.TypeProtobuf {
		d.Protocols = []string{"centrifuge-protobuf"}
	}
	nc, r, _, err := d.Dial(ctx, "ws://"+i.Addr("clients")+"/connection/websocket")
	if err != nil {
		t.Fatal(err)
	}
	if r == nil {
		r = bufio.NewReader(nc)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	return &client{t: t, nc: nc, r: r, kind: kind}
}

// as is a client that has connected with a token.
func as(t testing.TB, i *sdktest.Instance, kind protocol.Type, token string) *client {
	t.Helper()
	c := connect(t, i, kind)
	if r := c.ask(&protocol.Command{Connect: &protocol.ConnectRequest{Token: token}}); r.Connect == nil || r.Connect.Client == "" {
		t.Fatalf("connect: %v", r)
	}
	return c
}

func (c *client) send(cmds ...*protocol.Command) {
	c.t.Helper()
	var b []byte
	for _, cmd := range cmds {
		var one []byte
		var err error
		if c.kind == protocol.TypeProtobuf {
			one, err = protocol.NewProtobufCommandEncoder().Encode(cmd)
		} else {
			one, err = protocol.NewJSONCommandEncoder().Encode(cmd)
			one = append(one, '\n')
		}
		if err != nil {
			c.t.Fatal(err)
		}
		b = append(b, one...)
	}
	op := ws.OpText
	if c.kind == protocol.TypeProtobuf {
		op = ws.OpBinary
	}
	c.write(op, bytes.TrimSuffix(b, []byte("\n")))
}

func (c *client) write(op ws.OpCode, b []byte) {
	c.t.Helper()
	if err := wsutil.WriteClientMessage(c.nc, op, b); err != nil {
		c.t.Fatal(err)
	}
}

// next is the next reply or push.
func (c *client) next() (*protocol.Reply, error) {
	if len(c.kept) > 0 {
		r := c.kept[0]
		c.kept = c.kept[1:]
		return r, nil
	}
	return c.read()
}

func (c *client) read() (*protocol.Reply, error) {
	for len(c.got) == 0 {
		f, err := wstest.ReadFrame(c.r)
		if err != nil {
			return nil, err
		}
		if f.Header.OpCode == ws.OpClose {
			code, reason := ws.ParseCloseFrameData(f.Payload)
			return nil, fmt.Errorf("closed %d %s", code, reason)
		}
		if c.got, err = decode(c.kind, f.Payload); err != nil {
			return nil, err
		}
	}
	r := c.got[0]
	c.got = c.got[1:]
	return r, nil
}

func decode(kind protocol.Type, b []byte) (all []*protocol.Reply, err error) {
	var d protocol.ReplyDecoder = protocol.NewJSONReplyDecoder(b)
	if kind == protocol.TypeProtobuf {
		d = protocol.NewProtobufReplyDecoder(b)
	}
	for {
		r, err := d.Decode()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", b, err)
		}
		all = append(all, r)
	}
}

func (c *client) must() *protocol.Reply {
	c.t.Helper()
	r, err := c.next()
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// ask gives a command and returns its answer; pushes before it are kept.
func (c *client) ask(cmd *protocol.Command) *protocol.Reply {
	c.t.Helper()
	c.last++
	cmd.Id = c.last
	c.send(cmd)
	for {
		r, err := c.read()
		if err != nil {
			c.t.Fatal(err)
		}
		if r.Id == c.last {
			return r
		}
		c.kept = append(c.kept, r)
	}
}

func (c *client) subscribe(name string) *protocol.Reply {
	c.t.Helper()
	return c.ask(&protocol.Command{Subscribe: &protocol.SubscribeRequest{Channel: name, JoinLeave: true}})
}

func (c *client) publish(name, data string) *protocol.Reply {
	c.t.Helper()
	return c.ask(&protocol.Command{Publish: &protocol.PublishRequest{Channel: name, Data: []byte(data)}})
}

// hears expects a publication.
func (c *client) hears(offset uint64, data string) {
	c.t.Helper()
	for {
		r := c.must()
		if r.Push == nil || r.Push.Pub == nil {
			continue
		}
		if r.Push.Pub.Offset != offset || data != "" && string(r.Push.Pub.Data) != data {
			c.t.Fatalf("got %d %s, want %d %s", r.Push.Pub.Offset, r.Push.Pub.Data, offset, data)
		}
		return
	}
}

// ends expects that the connection is closed.
func (c *client) ends(code int) {
	c.t.Helper()
	for {
		if _, err := c.next(); err != nil {
			if !strings.HasPrefix(err.Error(), fmt.Sprintf("closed %d ", code)) {
				c.t.Fatalf("got %v, want a close with %d", err, code)
			}
			return
		}
	}
}

var kinds = []protocol.Type{protocol.TypeJSON, protocol.TypeProtobuf}

const tokens = `{"tokens": {"token-of-ada": "ada", "token-of-bob": "bob"}}`

func startWithRoom(t testing.TB, config string) *sdktest.Instance {
	t.Helper()
	i := startChat(t, sdktest.Options{Config: config})
	i.Verb("create", "room", "general")
	return i
}

func TestClientsTalk(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			i := startWithRoom(t, tokens)
			ada, bob := as(t, i, kind, "token-of-ada"), as(t, i, kinds[0], "token-of-bob")
			ada.subscribe("general")
			if r := bob.subscribe("general"); r.Subscribe == nil || !r.Subscribe.Recoverable || r.Subscribe.Epoch == "" {
				t.Fatalf("subscribe: %v", r)
			}
			if r := ada.must(); r.Push == nil || r.Push.Join == nil || r.Push.Join.Info.User != "bob" {
				t.Errorf("got %v, want that bob joined", r)
			}
			bob.publish("general", `{"text":"hello"}`)
			ada.hears(1, `{"text":"hello"}`)
			i.Verb("send", "general", "from a terminal")
			ada.hears(2, `{"text":"from a terminal"}`)
			bob.publish("general", `{"type":"typing","ephemeral":true}`)
			ada.hears(0, `{"type":"typing","ephemeral":true}`)
			if got := i.Verb("who", "general"); !strings.HasPrefix(got, "2 in general\nada (") {
				t.Errorf("got %s", got)
			}
			bob.nc.Close()
			if r := ada.must(); r.Push == nil || r.Push.Leave == nil || r.Push.Leave.Info.User != "bob" {
				t.Errorf("got %v, want that bob left", r)
			}
		})
	}
}

// The members of a room that crashes stay in it, are told, and miss nothing.
func TestClientsStayWhenTheirRoomCrashes(t *testing.T) {
	i := startWithRoom(t, "")
	c := as(t, i, protocol.TypeJSON, "")
	before := c.subscribe("general").Subscribe
	c.publish("general", `{"text":"one"}`)
	c.hears(1, "")
	i.Verb("crash", "room", "general")
	c.hears(0, `{"type":"notice","text":"room general crashed: its supervisor starts it again"}`)
	c.publish("general", `{"text":"two"}`)
	c.hears(2, `{"text":"two"}`)
	if got := standing(t, i, "general"); got.Epoch != before.Epoch || got.Members != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestRecovery(t *testing.T) {
	i := startWithRoom(t, "")
	c := as(t, i, protocol.TypeJSON, "")
	epoch := c.subscribe("general").Subscribe.Epoch
	c.ask(&protocol.Command{Unsubscribe: &protocol.UnsubscribeRequest{Channel: "general"}})
	for n := range 5 {
		i.Verb("send", "general", fmt.Sprint(n+1))
	}
	for _, tt := range []struct {
		name      string
		offset    uint64
		epoch     string
		recovered bool
		missed    int
	}{
		{"all", 0, epoch, true, 5},
		{"some", 3, epoch, true, 2},
		{"none", 5, epoch, true, 0},
		{"more than there is", 6, epoch, false, 0},
		{"another epoch", 3, "other", false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := &protocol.SubscribeRequest{Channel: "general", Recover: true, Epoch: tt.epoch, Offset: tt.offset}
			r := c.ask(&protocol.Command{Subscribe: q}).Subscribe
			c.ask(&protocol.Command{Unsubscribe: &protocol.UnsubscribeRequest{Channel: "general"}})
			if r == nil || !r.WasRecovering || r.Recovered != tt.recovered || len(r.Publications) != tt.missed || r.Offset != 5 {
				t.Fatalf("got %v", r)
			}
			for n, p := range r.Publications {
				if p.Offset != tt.offset+uint64(n)+1 {
					t.Errorf("message %d has offset %d", n, p.Offset)
				}
			}
		})
	}
}

func TestAClientsOwnIDIsSaidOnce(t *testing.T) {
	i := startWithRoom(t, tokens)
	ada := as(t, i, protocol.TypeJSON, "token-of-ada")
	ada.subscribe("general")
	for range 3 {
		if r := ada.publish("general", `{"text":"hello","id":"7"}`); r.Publish == nil {
			t.Fatalf("got %v", r)
		}
	}
	if got := standing(t, i, "general").Last; got != 1 {
		t.Errorf("%d messages", got)
	}
}

func TestErrorsOfCommands(t *testing.T) {
	i := startWithRoom(t, tokens)
	c := as(t, i, protocol.TypeJSON, "token-of-ada")
	c.subscribe("general")
	i.Verb("create", "room", "other")
	for _, tt := range []struct {
		name string
		cmd  *protocol.Command
		code uint32
	}{
		{"an unknown room", &protocol.Command{Subscribe: &protocol.SubscribeRequest{Channel: "nowhere"}}, 102},
		{"twice", &protocol.Command{Subscribe: &protocol.SubscribeRequest{Channel: "general"}}, 105},
		{"elsewhere", &protocol.Command{Publish: &protocol.PublishRequest{Channel: "other", Data: []byte(`{}`)}}, 103},
		{"history elsewhere", &protocol.Command{History: &protocol.HistoryRequest{Channel: "other"}}, 103},
		{"presence elsewhere", &protocol.Command{Presence: &protocol.PresenceRequest{Channel: "other"}}, 103},
		{"no data", &protocol.Command{Publish: &protocol.PublishRequest{Channel: "general"}}, 107},
		{"no method", &protocol.Command{Rpc: &protocol.RPCRequest{Method: "fly"}}, 104},
		{"no such message", &protocol.Command{Rpc: &protocol.RPCRequest{Method: "delete", Data: []byte(`{"room":"general","offset":9}`)}}, 107},
		{"nothing", &protocol.Command{SubRefresh: &protocol.SubRefreshRequest{Channel: "general"}}, 104},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r := c.ask(tt.cmd); r.Error == nil || r.Error.Code != tt.code {
				t.Errorf("got %v, want %d", r, tt.code)
			}
		})
	}
	if r := c.publish("general", `"still here"`); r.Publish == nil {
		t.Errorf("after all that: %v", r)
	}
}

func TestWhoMayNotStay(t *testing.T) {
	i := startWithRoom(t, tokens)
	for _, tt := range []struct {
		name, send string
		code       int
	}{
		{"a forged token", `{"id":1,"connect":{"token":"forged"}}`, 3500},
		{"no token", `{"id":1,"connect":{}}`, 3500},
		{"a command before connect", `{"id":1,"subscribe":{"channel":"general"}}`, 3501},
		{"connect twice", `{"id":1,"connect":{"token":"token-of-ada"}}` + "\n" + `{"id":2,"connect":{"token":"token-of-ada"}}`, 3501},
		{"no JSON", `{"id":1,`, 3501},
		{"no number", `{"connect":{"token":"token-of-ada"}}`, 3501},
		{"nothing", ``, 3501},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connect(t, i, protocol.TypeJSON)
			c.write(ws.OpText, []byte(tt.send))
			c.ends(tt.code)
		})
	}
}

func signed(t testing.TB, secret string, method jwt.SigningMethod, c jwt.MapClaims) string {
	t.Helper()
	var key any = []byte(secret)
	if method == jwt.SigningMethodNone {
		key = jwt.UnsafeAllowNoneSignatureType
	}
	s, err := jwt.NewWithClaims(method, c).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignedTokens(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	i := startWithRoom(t, `{"secret": "`+secret+`"}`)
	soon, past := time.Now().Add(time.Hour).Unix(), time.Now().Add(-time.Hour).Unix()
	for _, tt := range []struct {
		name, token string
		want        string
	}{
		{"good", signed(t, secret, jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ada", "exp": soon}), ""},
		{"without an end", signed(t, secret, jwt.SigningMethodHS512, jwt.MapClaims{"sub": "ada"}), ""},
		{"expired", signed(t, secret, jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ada", "exp": past}), "109"},
		{"of another secret", signed(t, strings.ToUpper(secret), jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ada"}), "3500"},
		{"not signed", signed(t, "", jwt.SigningMethodNone, jwt.MapClaims{"sub": "ada"}), "3500"},
		{"of nobody", signed(t, secret, jwt.SigningMethodHS256, jwt.MapClaims{"exp": soon}), "3500"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connect(t, i, protocol.TypeJSON)
			c.send(&protocol.Command{Id: 1, Connect: &protocol.ConnectRequest{Token: tt.token}})
			r, err := c.next()
			switch {
			case tt.want == "3500":
				if err == nil || !strings.HasPrefix(err.Error(), "closed 3500") {
					t.Fatalf("got %v, %v", r, err)
				}
			case err != nil:
				t.Fatal(err)
			case tt.want == "109":
				if r.Error == nil || r.Error.Code != 109 {
					t.Fatalf("got %v", r)
				}
			case r.Connect == nil || r.Connect.Expires != (tt.name == "good"):
				t.Fatalf("got %v", r)
			}
		})
	}
	c := as(t, i, protocol.TypeJSON, signed(t, secret, jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ada", "exp": soon}))
	other := signed(t, secret, jwt.SigningMethodHS256, jwt.MapClaims{"sub": "bob", "exp": soon})
	if r := c.ask(&protocol.Command{Refresh: &protocol.RefreshRequest{
		Token: signed(t, secret, jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ada", "exp": soon}),
	}}); r.Refresh == nil || r.Refresh.Ttl == 0 {
		t.Errorf("refresh: %v", r)
	}
	c.send(&protocol.Command{Id: 99, Refresh: &protocol.RefreshRequest{Token: other}})
	c.ends(3500)
}

func TestPingAndPong(t *testing.T) {
	i := startWithRoom(t, `{"ping": "1s"}`)
	c := as(t, i, protocol.TypeJSON, "")
	for range 2 {
		if r := c.must(); r.Id != 0 || r.Push != nil || r.Error != nil {
			t.Fatalf("got %v, want a ping", r)
		}
		c.write(ws.OpText, []byte(`{}`))
	}
	if r := c.ask(&protocol.Command{Ping: &protocol.PingRequest{}}); r.Ping == nil {
		t.Errorf("got %v", r)
	}
}

// A client that does not take what is said is closed with 3008, or loses its place and comes back for the history.
func TestSlowClients(t *testing.T) {
	if testing.Short() {
		t.Skip("it sends megabytes")
	}
	big, _ := json.Marshal(strings.Repeat("x", 60_000))
	for _, policy := range []string{"disconnect", "skip"} {
		t.Run(policy, func(t *testing.T) {
			i := startWithRoom(t, `{"queue": 200000, "slow": "`+policy+`"}`)
			slow, quick := as(t, i, protocol.TypeJSON, ""), as(t, i, protocol.TypeJSON, "")
			if err := slow.nc.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
				t.Fatal(err)
			}
			epoch := slow.subscribe("general").Subscribe.Epoch
			quick.subscribe("general")
			const n = 100
			for range n {
				quick.publish("general", string(big))
			}
			heard, err := slow.drain()
			if policy == "disconnect" {
				if err == nil || !strings.HasPrefix(err.Error(), "closed 3008") && !strings.Contains(err.Error(), "EOF") &&
					!strings.Contains(err.Error(), "reset") {
					t.Fatalf("after %d messages: %v", heard, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			q := &protocol.SubscribeRequest{Channel: "general", Recover: true, Epoch: epoch, Offset: heard}
			if r := slow.ask(&protocol.Command{Subscribe: q}); r.Subscribe == nil || r.Subscribe.Offset != n || r.Subscribe.Recovered {
				t.Fatalf("got %.200v", r)
			}
			for heard < n { // what may not wait for a client at once comes in pages
				since := &protocol.StreamPosition{Offset: heard, Epoch: epoch}
				r := slow.ask(&protocol.Command{History: &protocol.HistoryRequest{Channel: "general", Limit: -1, Since: since}})
				if r.History == nil || len(r.History.Publications) == 0 || r.History.Publications[0].Offset != heard+1 {
					t.Fatalf("after message %d: %.200v", heard, r)
				}
				heard += uint64(len(r.History.Publications))
			}
		})
	}
}

// drain reads publications until the subscription ends, and returns the offset of the last.
func (c *client) drain() (last uint64, err error) {
	for {
		r, err := c.next()
		switch {
		case err != nil:
			return last, err
		case r.Push == nil:
		case r.Push.Unsubscribe != nil:
			if r.Push.Unsubscribe.Code != 2500 {
				return last, fmt.Errorf("the subscription ended with %d", r.Push.Unsubscribe.Code)
			}
			return last, nil
		case r.Push.Pub != nil:
			if r.Push.Pub.Offset != last+1 {
				return last, fmt.Errorf("message %d after %d", r.Push.Pub.Offset, last)
			}
			last = r.Push.Pub.Offset
		}
	}
}
