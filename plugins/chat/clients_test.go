package main

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/protocol"
	"github.com/gobwas/ws"
	"github.com/golang-jwt/jwt/v5"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
)

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

// The members of a room that crashes stay in it, are told, and miss nothing. One that stays down was said to be started again.
func TestClientsStayWhenTheirRoomCrashes(t *testing.T) {
	i := startWithRoom(t, "")
	c := as(t, i, protocol.TypeJSON, "")
	before := c.subscribe("general").Subscribe
	c.publish("general", `{"text":"one"}`)
	c.hears(1, "")
	i.Verb("crash", "room", "general")
	const again = `{"type":"notice","text":"room general crashed, and was started again"}`
	c.hears(0, again)
	c.publish("general", `{"text":"two"}`)
	c.hears(2, `{"text":"two"}`)
	if got := standing(t, i, "general"); got.Epoch != before.Epoch || got.Members != 1 {
		t.Errorf("got %+v", got)
	}
	for range room.Intensity - 1 {
		i.Verb("crash", "room", "general")
		c.hears(0, again)
	}
	if err := i.VerbError("crash", "room", "general"); err == nil {
		t.Fatal("it was started once too often")
	}
	const down = "room general is down (more than 3 restarts within 5s): " + cure
	c.hears(0, `{"type":"notice","text":"`+down+`","down":true}`)
	refused(t, c.publish("general", `{"text":"three"}`), 108, down)
	i.Verb("create", "room", "general")
	c.hears(0, again)
	c.publish("general", `{"text":"three"}`)
	c.hears(3, `{"text":"three"}`)
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
		{"no UTF-8", "\xff", 1007},
		{"too much", strings.Repeat(" ", 70_000), 1009},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connect(t, i, protocol.TypeJSON)
			c.write(ws.OpText, []byte(tt.send))
			c.ends(tt.code)
		})
	}
	unmasked := connect(t, i, protocol.TypeJSON)
	if _, err := unmasked.nc.Write(ws.MustCompileFrame(ws.NewTextFrame([]byte(`{}`)))); err != nil {
		t.Fatal(err)
	}
	unmasked.ends(1002)
	if got := i.Verb("stats"); !strings.HasSuffix(got, " closed.1002=1 closed.1007=1 closed.1009=1 closed.3500=2 closed.3501=5") {
		t.Errorf("got %s", got)
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
			n := uint64(0)
			for ; n < 1000 && !strings.Contains(i.Verb("stats"), "slow=1"); n++ {
				quick.publish("general", string(big))
			}
			heard, err := slow.drain()
			if policy == "disconnect" {
				if err == nil || !strings.HasPrefix(err.Error(), "closed 3008 ") {
					t.Fatalf("after %d messages: %v", heard, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			q := &protocol.SubscribeRequest{Channel: "general", Recover: true, Epoch: epoch, Offset: heard}
			r := slow.ask(&protocol.Command{Subscribe: q})
			if r.Subscribe == nil || r.Subscribe.Offset != n || r.Subscribe.Recovered != (n-heard < 2) { // one fits into half of the queue
				t.Fatalf("after message %d of %d: %.200v", heard, n, r)
			}
			heard += uint64(len(r.Subscribe.Publications))
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
