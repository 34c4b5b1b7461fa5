package protocol

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/ws"
)

// session is what the next version has to know of a client.
type session struct {
	Form    form                    `json:"form"`
	ID      string                  `json:"id,omitempty"` // empty until it has connected
	User    string                  `json:"user,omitempty"`
	Info    []byte                  `json:"info,omitempty"`
	Expires time.Time               `json:"expires,omitzero"`
	Rooms   map[string]subscription `json:"rooms,omitempty"`
}

// subscription is a room that a client is in.
type subscription struct {
	JoinLeave bool `json:"join_leave,omitempty"` // it wants to know who comes and goes
}

// conn is what a client is to its server.
type conn interface {
	Session() []byte
	SetSession([]byte) error
	SendFrame([]byte) error
	Close(code int, reason string)
	Fail()
}

var _ conn = (*ws.Conn)(nil)

// client is one connection.
type client struct {
	s       *Server
	conn    conn
	keeping sync.Mutex

	mu      sync.Mutex
	session                 // the connection's own goroutine reads it without the lock, since it alone writes it; but Rooms
	lagging map[string]bool // rooms whose messages it could not be given
	since   time.Time       // of the connection, here
	pinged  time.Time
	heard   time.Time // its last word
}

var _ room.Member = (*client)(nil)

// Who is asked only of clients that have connected.
func (c *client) Who() room.Who { return room.Who{Client: c.ID, User: c.User, Info: c.Info} }

// in lists the rooms that the client is in.
func (c *client) in() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.Rooms))
}

func (c *client) isIn(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, in := c.Rooms[name]
	return in
}

// keep has the session travel. The client's lock is not held: whoever tells it something must not wait for this.
func (c *client) keep() {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	c.mu.Lock()
	b, err := json.Marshal(c.session)
	c.mu.Unlock()
	if err == nil {
		err = c.conn.SetSession(b)
	}
	if err != nil {
		c.conn.Close(ws.CloseError, err.Error())
	}
}

// say sends replies in one frame.
func (c *client) say(replies ...*protocol.Reply) {
	if len(replies) == 0 {
		return
	}
	b, err := c.Form.frame(replies...)
	if err != nil {
		c.conn.Close(byeBad.code, "an answer cannot be said: "+err.Error())
		return
	}
	if errors.Is(c.conn.SendFrame(b), serve.ErrSlow) {
		c.close(byeSlow)
	}
}

func (c *client) close(f *farewell) { c.conn.Close(f.code, f.reason) }

// Enter answers a subscription, ahead of the room's next message. If more was missed than may wait for a client, it is not
// recovered: the client reads the history, page by page.
func (c *client) Enter(in room.Entered) {
	if len(c.s.fit(in.Missed)) < len(in.Missed) {
		in.Missed, in.Recovered = nil, false
	}
	r := &protocol.SubscribeResult{
		Recoverable: true, Positioned: true, Epoch: in.Epoch, Offset: in.Offset,
		WasRecovering: in.Recovering, Recovered: in.Recovered, Publications: publications(in.Missed),
	}
	c.say(&protocol.Reply{Id: in.Call, Subscribe: r})
}

// Hear passes on what happens in a room.
func (c *client) Hear(e *room.Event) {
	if !c.wants(e) {
		return
	}
	b := c.Form.event(e)
	if b == nil || !errors.Is(c.conn.SendFrame(b), serve.ErrSlow) {
		return
	}
	if !c.s.o.Skip {
		c.close(byeSlow)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lagging == nil {
		c.lagging = map[string]bool{}
	}
	c.lagging[e.Room] = true
}

func (c *client) wants(e *room.Event) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lagging[e.Room] {
		return false
	}
	return e.Kind == room.Said || c.Rooms[e.Room].JoinLeave && e.Who.Client != c.ID
}

// tend does what is to be done for a client about once a second.
func (c *client) tend(now time.Time) {
	c.mu.Lock()
	connected, ping := c.ID != "", now.Sub(c.pinged) >= c.s.o.Ping && now.Sub(c.since) >= c.s.o.Ping
	silent := now.Sub(c.heard) > c.s.o.Ping+pongWithin
	expired := !c.Expires.IsZero() && now.After(c.Expires.Add(refreshGrace))
	if connected && ping {
		c.pinged = now
	}
	c.mu.Unlock()
	switch {
	case !connected && now.Sub(c.since) > connectTime:
		c.close(byeStale)
	case !connected:
	case expired:
		c.close(byeExpired)
	case silent:
		c.close(byeNoPong)
	case ping:
		c.say(&protocol.Reply{})
	}
	c.catchUp()
}

// catchUp ends the subscriptions that were skipped, once the client takes something again; it comes back by itself.
func (c *client) catchUp() {
	c.mu.Lock()
	rooms := slices.Collect(maps.Keys(c.lagging))
	c.mu.Unlock()
	for _, name := range rooms {
		u := &protocol.Unsubscribe{Code: noPosition, Reason: "insufficient state"}
		b, err := c.Form.frame(&protocol.Reply{Push: &protocol.Push{Channel: name, Unsubscribe: u}})
		if err != nil || c.conn.SendFrame(b) != nil {
			return
		}
		c.leave(name, true)
	}
}

// leave takes the client out of a room.
func (c *client) leave(name string, quiet bool) {
	c.mu.Lock()
	delete(c.Rooms, name)
	delete(c.lagging, name)
	c.mu.Unlock()
	c.keep()
	c.s.rooms.Leave(name, c, quiet)
}
