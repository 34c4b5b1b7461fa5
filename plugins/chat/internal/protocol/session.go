package protocol

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/ws"
)

// A session is what the next version has to know of a client:
//
//	packed form proof id user info expires subscriptions {room marks}
//
// Numbers are varints, and what is of any length begins with its length. Every client is read in the instant of a switch, and
// JSON took ten times as long. What a later version adds comes at the end, where this one does not look.
const packed = 1

var errSession = errors.New("the session of another version cannot be read")

// keep has the session travel. The client's lock is not held: whoever tells it something must not wait for this.
func (c *client) keep() {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	c.mu.Lock()
	b := c.pack()
	c.mu.Unlock()
	if err := c.conn.SetSession(b); err != nil && !errors.Is(err, serve.ErrHandover) {
		c.conn.Close(ws.CloseError, err.Error())
	}
}

// fresh is the session of a client that has not connected yet.
func fresh(f form) []byte { return (&client{form: f}).pack() }

// pack is for those who hold the lock.
func (c *client) pack() []byte {
	b := append(make([]byte, 0, 128), packed, byte(c.form), byte(c.proof))
	b = appendBytes(b, c.id)
	b = appendBytes(b, c.user)
	b = appendBytes(b, c.info)
	b = binary.AppendUvarint(b, seconds(c.expires))
	b = binary.AppendUvarint(b, uint64(len(c.subs)))
	for _, sub := range c.subs {
		b = binary.AppendUvarint(appendBytes(b, sub.Room), sub.marks())
	}
	return b
}

func appendBytes[B ~string | ~[]byte](to []byte, b B) []byte {
	return append(binary.AppendUvarint(to, uint64(len(b))), b...)
}

// seconds is 0 for the zero time.
func seconds(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.Unix())
}

// recall makes the client one that was kept. Nobody knows it yet.
func (c *client) recall(session []byte) error {
	switch {
	case len(session) == 0:
		return errSession
	case session[0] != packed:
		return c.recallJSON(session)
	}
	r := reader{left: session[1:]}
	c.form, c.proof = form(r.number()), proof(r.number())
	c.id, c.user, c.info = string(r.bytes()), string(r.bytes()), bytes.Clone(r.bytes())
	if at := r.number(); at > 0 {
		c.expires = time.Unix(int64(at), 0)
	}
	for n := r.number(); n > 0 && !r.short; n-- {
		sub := &subscription{Seat: room.Seat{Room: string(r.bytes())}}
		sub.mark(r.number())
		c.subs = append(c.subs, sub)
	}
	if r.short {
		return errSession
	}
	return nil
}

// reader takes a session apart.
type reader struct {
	left  []byte
	short bool // something is missing
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.left)
	if size <= 0 {
		r.short = true
		return 0
	}
	r.left = r.left[size:]
	return n
}

// bytes are nil if there are none.
func (r *reader) bytes() (b []byte) {
	n := r.number()
	if n > uint64(len(r.left)) {
		r.short = true
		return nil
	}
	if n > 0 {
		b, r.left = r.left[:n], r.left[n:]
	}
	return b
}

// recallJSON reads what was kept before sessions were packed. Rooms may be over as well.
func (c *client) recallJSON(b []byte) error {
	var s struct {
		Form    form      `json:"form"`
		ID      string    `json:"id"`
		User    string    `json:"user"`
		Info    []byte    `json:"info"`
		Expires time.Time `json:"expires"`
		Rooms   map[string]struct {
			JoinLeave bool `json:"join_leave"`
		} `json:"rooms"`
		Over map[string]room.Exit `json:"over"`
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.Join(errSession, err)
	}
	c.form, c.id, c.user, c.info, c.expires = s.Form, s.ID, s.User, s.Info, s.Expires
	for name, why := range s.Over {
		delete(s.Rooms, name)
		c.subs = append(c.subs, &subscription{Seat: room.Seat{Room: name}, over: true, why: why})
	}
	for name, sub := range s.Rooms {
		c.subs = append(c.subs, &subscription{Seat: room.Seat{Room: name, JoinLeave: sub.JoinLeave}})
	}
	return nil
}
