package protocol

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
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
	Over    map[string]room.Exit    `json:"over,omitempty"` // subscriptions that have ended, of which it is to be told
}

// subscription is a room that a client is in.
type subscription struct {
	JoinLeave bool   `json:"join_leave,omitempty"` // it wants to know who comes and goes
	awaits    uint32 // the command that the room has not answered yet; its frame is in hand, so this need not travel
}

// conn is what a client is to its server.
type conn interface {
	Session() []byte
	SetSession([]byte) error
	SendFrame([]byte) error
	Free() int
	Close(code int, reason string)
	Fail()
}

var _ conn = (*ws.Conn)(nil)

// client is one connection.
type client struct {
	s       *Server
	conn    conn
	key     string // by which it says something, if its connection is a stream
	keeping sync.Mutex
	bye     atomic.Pointer[farewell]
	turn    sync.Mutex // of those who bring it into rooms and out of them; rooms themselves must not wait for it
	gone    bool       // it is not here any more, and comes into no room; guarded by turn

	mu      sync.Mutex
	session           // the connection's own goroutine reads it without the lock, since it alone writes it; but Rooms and Over
	since   time.Time // of the connection, here
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

// say sends a reply, and tells whether more can be said.
func (c *client) say(r *protocol.Reply) bool {
	b, ok := c.words(r)
	return ok && c.sayWords(b)
}

// words is a reply as it is said.
func (c *client) words(r *protocol.Reply) ([]byte, bool) {
	b, err := c.Form.words(r)
	if err != nil {
		c.conn.Close(byeBad.code, "an answer cannot be said: "+err.Error())
	}
	return b, err == nil
}

// sayWords sends replies in one frame.
func (c *client) sayWords(words ...[]byte) bool {
	if len(words) == 0 {
		return true
	}
	err := c.conn.SendFrame(c.Form.frame(words...))
	if errors.Is(err, serve.ErrSlow) {
		c.close(byeSlow)
	}
	return err == nil
}

// close ends the connection; only the first time counts.
func (c *client) close(f *farewell) {
	if c.bye.CompareAndSwap(nil, f) {
		c.s.count(f)
	}
	c.conn.Close(f.code, f.reason)
}

// Enter answers a subscription, ahead of the room's next message.
func (c *client) Enter(in room.Entered) bool {
	if !c.claim(in.Room, in.Call) {
		return false
	}
	r := &protocol.SubscribeResult{
		Recoverable: true, Positioned: true, Epoch: in.Epoch, Offset: in.Offset,
		WasRecovering: in.Recovering, Recovered: in.Recovered, Publications: publications(in.Missed),
	}
	c.say(&protocol.Reply{Id: in.Call, Subscribe: r})
	return true
}

// claim is true for the first who answers a subscription: the room, or whoever has waited for it for too long.
func (c *client) claim(name string, call uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	sub, in := c.Rooms[name]
	if !in || sub.awaits != call {
		return false
	}
	sub.awaits = 0
	c.Rooms[name] = sub
	return true
}

// Hear passes on what happens in a room.
func (c *client) Hear(e *room.Event) bool {
	if !c.wants(e) {
		return true
	}
	b := c.Form.event(e)
	if b == nil || !errors.Is(c.conn.SendFrame(b), serve.ErrSlow) {
		return true
	}
	if !c.s.o.Skip {
		c.close(byeSlow)
	}
	return !c.s.o.Skip
}

// Out notes that a subscription is over: nothing is said of the room any more.
func (c *client) Out(name string, why room.Exit) {
	c.mu.Lock()
	_, in := c.Rooms[name]
	if in {
		if c.Over == nil {
			c.Over = map[string]room.Exit{}
		}
		c.Over[name] = why
	}
	c.mu.Unlock()
	if !in {
		return
	}
	c.keep()
	if why == room.Lagged {
		c.s.countLagged()
		return // it takes nothing now
	}
	c.trySettle()
}

func (c *client) wants(e *room.Event) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	sub := c.Rooms[e.Room]
	if _, over := c.Over[e.Room]; over || sub.awaits != 0 {
		return false
	}
	return e.Kind == room.Said || sub.JoinLeave && e.Who.Client != c.ID
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
	c.trySettle()
}

// trySettle settles unless what the client has said is being done: then somebody will soon.
func (c *client) trySettle() {
	if !c.turn.TryLock() {
		return
	}
	defer c.turn.Unlock()
	if !c.gone {
		c.settle()
	}
}

// settle takes the client out of the rooms in which its subscriptions are over, and then tells it, if it takes anything: it
// may subscribe again at once.
func (c *client) settle() {
	c.mu.Lock()
	over := maps.Clone(c.Over)
	c.mu.Unlock()
	for name, why := range over {
		c.depart(name, why == room.Lagged)
		b, err := c.Form.alone(&protocol.Reply{Push: &protocol.Push{Channel: name, Unsubscribe: overs[why]}})
		if err != nil || c.conn.SendFrame(b) != nil {
			return
		}
		c.mu.Lock()
		delete(c.Over, name)
		c.mu.Unlock()
		c.keep()
	}
}

// depart takes the client out of a room.
func (c *client) depart(name string, quiet bool) {
	c.mu.Lock()
	_, in := c.Rooms[name]
	delete(c.Rooms, name)
	c.mu.Unlock()
	if in {
		c.keep()
	}
	c.s.rooms.Leave(name, c, quiet)
}

// leave is depart for a client that knows of it.
func (c *client) leave(name string, quiet bool) {
	c.mu.Lock()
	delete(c.Over, name)
	c.mu.Unlock()
	c.depart(name, quiet)
}
