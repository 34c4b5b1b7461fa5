package protocol

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/ws"
)

// conn is what a client is to its server.
type conn interface {
	Session() []byte
	SetSession([]byte) error
	SendFrame([]byte) error
	Free() int
	Parking() bool // a handover waits for what the client has said
	Close(code int, reason string)
	Fail()
}

var _ conn = (*ws.Conn)(nil)

// client is one connection.
type client struct {
	conn   conn
	s      *Server
	form   form
	at     uint32     // in the register
	enters int64      // until when it has used up coming into rooms, in Unix nanoseconds; guarded by turn
	gone   bool       // it is not here any more, and comes into no room; guarded by turn
	turn   sync.Mutex // of those who bring it into rooms and out of them; rooms themselves must not wait for it

	keeping sync.Mutex
	bye     atomic.Pointer[farewell]

	mu      sync.Mutex // who has the turn reads what follows without it, and alone writes it; but subs and times
	id      string     // empty until it has connected
	user    string
	proof   proof
	info    []byte
	expires time.Time
	subs    []*subscription
	pinged  time.Time // or, before it has connected, when it came
	heard   time.Time // its last word
}

var _ room.Member = (*client)(nil)

// Who is asked only of clients that have connected.
func (c *client) Who() room.Who { return room.Who{Client: c.id, User: c.user, Info: c.info} }

// say sends a reply, and tells whether more can be said.
func (c *client) say(r *protocol.Reply) bool {
	b, ok := c.words(r)
	return ok && c.sayWords(b)
}

// words is a reply as it is said.
func (c *client) words(r *protocol.Reply) ([]byte, bool) {
	b, err := c.form.words(r)
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
	err := c.conn.SendFrame(c.form.frame(words...))
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
func (c *client) Enter(in room.Entered) *room.Seat {
	sub := c.claim(in.Room, in.Call)
	if sub == nil {
		return nil
	}
	r := &protocol.SubscribeResult{
		Recoverable: true, Positioned: true, Epoch: in.Epoch, Offset: in.Offset,
		WasRecovering: in.Recovering, Recovered: in.Recovered, Publications: publications(in.Missed),
	}
	c.say(&protocol.Reply{Id: in.Call, Subscribe: r})
	return &sub.Seat
}

// Hear passes on what happens in a room.
func (c *client) Hear(e *room.Event) bool {
	if e.Kind != room.Said && e.Who.Client == c.id {
		return true // it knows that it has come
	}
	b := c.form.event(e)
	if b == nil || !errors.Is(c.conn.SendFrame(b), serve.ErrSlow) {
		return true
	}
	if !c.s.o.Skip {
		c.close(byeSlow)
	}
	return !c.s.o.Skip
}

// Out notes that a subscription is over.
func (c *client) Out(seat *room.Seat, why room.Exit) {
	if !c.lose(seat, why) {
		return
	}
	c.keep()
	if why == room.Lagged {
		c.s.countLagged()
		return // it takes nothing now
	}
	c.trySettle()
}

// pingWithin has the next ping come at any time until then: clients that came at once, as in a switch, are not to be pinged at
// once.
func (c *client) pingWithin(d time.Duration, now time.Time) {
	c.pinged = now.Add(rand.N(d) - c.s.o.Ping)
}

// tend does what is to be done for a client about once a second.
func (c *client) tend(now time.Time) {
	c.mu.Lock()
	connected, since := c.id != "", now.Sub(c.pinged)
	ping := connected && since >= c.s.o.Ping
	silent := now.Sub(c.heard) > c.s.o.Ping+pongWithin
	expired := !c.expires.IsZero() && now.After(c.expires.Add(refreshGrace))
	if ping {
		c.pinged = now
	}
	c.mu.Unlock()
	switch {
	case !connected && since > connectTime:
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

// settle tells the client which of its subscriptions are over, if it takes anything: it may subscribe again at once.
func (c *client) settle() {
	for _, sub := range c.those(true) {
		b, err := c.form.alone(&protocol.Reply{Push: &protocol.Push{Channel: sub.Room, Unsubscribe: overs[sub.why]}})
		if err != nil || c.conn.SendFrame(b) != nil {
			return
		}
		c.remove(sub.Room)
		c.keep()
	}
}

// leave takes the client out of a room.
func (c *client) leave(name string, quiet bool) {
	sub := c.remove(name)
	if sub == nil {
		return
	}
	c.keep()
	c.s.rooms.Leave(c, &sub.Seat, quiet)
}
