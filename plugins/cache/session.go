package main

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"sync/atomic"

	"github.com/theseusd/theseus/sdk/serve/resp"
	"github.com/theseusd/theseus/sdk/state"
)

// client is what the cache knows of a connection. All of it goes with the connection from version to version: the
// number, the name, the subscriptions and what was watched in the session, the commands of a transaction as they came.
type client struct {
	call call

	id   int64 // 0: it has none yet
	name string
	subs subscriptions
	transaction
}

// baggage is the part of a session that most connections do not have.
type baggage struct {
	Watched  uint64   `json:"w,omitempty"`
	Channels []string `json:"c,omitempty"`
	Patterns []string `json:"p,omitempty"`
}

// clientOf is the client at the other end. One that came from another version is made of its session.
func clientOf(conn *resp.Conn) *client {
	if cl, ok := conn.Value.(*client); ok {
		return cl
	}
	cl := &client{}
	cl.call.conn, cl.call.client, cl.call.most = conn, cl, math.MaxInt
	cl.recall(conn.Session())
	conn.Value = cl
	return cl
}

// recall reads a session: eight bytes of number and the name and, if there is more, a 0 and that.
func (cl *client) recall(s []byte) {
	if len(s) < 8 {
		return
	}
	cl.id = int64(binary.BigEndian.Uint64(s))
	name, more, _ := bytes.Cut(s[8:], []byte{0})
	cl.name = string(name)
	if b, err := state.Decode[baggage](more); err == nil {
		cl.stamp, cl.subs = b.Watched, newSubscriptions(b.Channels, b.Patterns)
	}
}

// keep is the other way. The error says that it is too much.
func (cl *client) keep() error {
	s := append(binary.BigEndian.AppendUint64(nil, uint64(cl.id)), cl.name...)
	b := baggage{cl.stamp, slices.Sorted(maps.Keys(cl.subs.channels)), slices.Sorted(maps.Keys(cl.subs.patterns))}
	if b.Watched != 0 || len(b.Channels)+len(b.Patterns) > 0 {
		more, err := state.Encode(b)
		if err != nil {
			return err
		}
		s = append(append(s, 0), more...)
	}
	if cl.call.conn.SetSession(s) != nil {
		return errBaggage
	}
	return nil
}

// ids gives each connection a number, at the first question and never again to another one: numbers begin at the time
// at which the process did.
type ids struct {
	first int64
	given atomic.Int64
}

func (c *cache) clientID(q *call) (int64, error) {
	cl := q.client
	if cl.id == 0 {
		cl.id = c.clients.first + c.clients.given.Add(1)
		return cl.id, cl.keep()
	}
	return cl.id, nil
}
