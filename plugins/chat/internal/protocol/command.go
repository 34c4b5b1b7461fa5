package protocol

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
)

// commands does those of a frame.
func (c *client) commands(frame []byte) {
	c.turn.Lock()
	defer c.turn.Unlock()
	if c.gone {
		return
	}
	c.settle()
	d := protocol.GetCommandDecoder(c.form.kind(), frame)
	defer protocol.PutCommandDecoder(c.form.kind(), d)
	a, began := answers{c: c}, time.Now()
	for n := 0; ; n++ {
		cmd, err := d.Decode()
		tooMany := n >= maxCommands || time.Since(began) > maxHeld && c.conn.Parking()
		if cmd != nil && !a.add(c.command(cmd, tooMany)) {
			return
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			a.add(nil, byeBad)
			return
		}
	}
	a.flush()
}

// command does one, and returns the answer, if there is one to be given here, or why the connection ends.
// One too many is refused.
func (c *client) command(cmd *protocol.Command, tooMany bool) (*protocol.Reply, *farewell) {
	c.mu.Lock()
	c.heard = time.Now()
	c.mu.Unlock()
	if cmd.Id == 0 && cmd.Send == nil {
		if cmd.SizeCF() == 0 {
			return nil, nil // a pong
		}
		return nil, byeBad
	}
	if (c.id == "") != (cmd.Connect != nil) {
		return nil, byeBad // connect comes first, and once
	}
	if tooMany && cmd.Id == 0 {
		return nil, nil
	}
	if tooMany {
		return &protocol.Reply{Id: cmd.Id, Error: errTooMany.reply()}, nil
	}
	reply := &protocol.Reply{Id: cmd.Id}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answered, err := c.do(ctx, cmd, reply)
	if bye := new(farewell); errors.As(err, &bye) {
		return nil, bye
	}
	if err != nil {
		e, failed := codeOf(err)
		if failed {
			c.conn.Fail()
		}
		return &protocol.Reply{Id: cmd.Id, Error: e.reply()}, nil
	}
	if !answered {
		return nil, nil
	}
	return reply, nil
}

// do fills in the reply; false says that somebody else answers, or nobody.
func (c *client) do(ctx context.Context, cmd *protocol.Command, r *protocol.Reply) (answered bool, err error) {
	switch {
	case cmd.Connect != nil:
		r.Connect, err = c.connect(cmd.Connect)
	case cmd.Subscribe != nil:
		return false, c.subscribe(ctx, cmd.Id, cmd.Subscribe)
	case cmd.Unsubscribe != nil:
		c.leave(cmd.Unsubscribe.Channel, false)
		r.Unsubscribe = &protocol.UnsubscribeResult{}
	case cmd.Publish != nil:
		r.Publish, err = c.publish(ctx, cmd.Publish)
	case cmd.History != nil:
		r.History, err = c.history(cmd.History)
	case cmd.Presence != nil:
		r.Presence, err = c.presence(cmd.Presence.Channel)
	case cmd.PresenceStats != nil:
		r.PresenceStats, err = c.presenceStats(cmd.PresenceStats.Channel)
	case cmd.Ping != nil:
		r.Ping = &protocol.PingResult{}
	case cmd.Rpc != nil:
		r.Rpc, err = c.rpc(ctx, cmd.Rpc)
	case cmd.Refresh != nil:
		r.Refresh, err = c.refresh(cmd.Refresh)
	case cmd.Send != nil:
		return false, nil // for nobody here
	default:
		return false, errMethod
	}
	return true, err
}

func (c *client) connect(q *protocol.ConnectRequest) (*protocol.ConnectResult, error) {
	p, err := c.s.o.Auth.who(q.Token, q.Data)
	if err != nil {
		return nil, stranger(err)
	}
	c.mu.Lock()
	c.id, c.user, c.proof, c.info, c.expires = rand.Text(), p.user, p.proof, p.info, p.expires
	c.pingWithin(c.s.o.Ping, time.Now())
	c.mu.Unlock()
	c.keep()
	c.s.rooms.Add(c)
	ping := uint32(c.s.o.Ping / time.Second)
	expires, ttl := remaining(p.expires)
	r := &protocol.ConnectResult{Client: c.id, Version: "theseus", Expires: expires, Ttl: ttl, Ping: ping, Pong: true}
	r.Data, _ = json.Marshal(map[string]string{"user": c.user})
	if to, ok := c.conn.(*stream); ok {
		r.Session, r.Node = to.key, node
	}
	return r, nil
}

// stranger is what becomes of one of whom nobody knows who it is.
func stranger(err error) error {
	bye := new(farewell)
	switch {
	case errors.Is(err, errExpired):
		return errTokenOld
	case errors.Is(err, room.ErrUser):
		return refused{errBad.code, err.Error(), false}
	case errors.As(err, &bye):
		return bye
	}
	return byeToken
}

// remaining is how long a token is good, in the words of the protocol.
func remaining(at time.Time) (expires bool, ttl uint32) {
	if at.IsZero() {
		return false, 0
	}
	return true, uint32(min(max(time.Until(at)/time.Second, 1), math.MaxUint32))
}

func (c *client) refresh(q *protocol.RefreshRequest) (*protocol.RefreshResult, error) {
	p, err := c.s.o.Auth.who(q.Token, nil)
	switch {
	case err != nil:
		return nil, stranger(err)
	case p.user != c.user && !c.s.o.Auth.Open():
		return nil, byeToken
	}
	c.mu.Lock()
	changed := !c.expires.Equal(p.expires) || c.proof != p.proof
	c.expires, c.proof = p.expires, p.proof
	c.mu.Unlock()
	if changed {
		c.keep()
	}
	expires, ttl := remaining(p.expires)
	return &protocol.RefreshResult{Client: c.id, Version: "theseus", Expires: expires, Ttl: ttl}, nil
}

// subscribe is answered by the room.
func (c *client) subscribe(ctx context.Context, call uint32, q *protocol.SubscribeRequest) error {
	name := strings.Clone(q.Channel) // the decoder may leave it in the buffer of the connection
	if !c.s.rooms.Has(name) {
		return errUnknown
	}
	if !c.mayEnter(time.Now()) {
		return errTooMany
	}
	if err := c.begin(&subscription{Seat: room.Seat{Room: name, JoinLeave: q.JoinLeave}, awaits: call}); err != nil {
		return err
	}
	c.keep()
	err := c.s.rooms.Enter(ctx, name, room.Enter{
		Member: c.id, Call: call, Recover: q.Recover, Epoch: strings.Clone(q.Epoch), Offset: q.Offset, Bytes: c.page(),
	})
	if err == nil || c.claim(name, call) == nil {
		return nil // the room has answered, even if it could not say so
	}
	c.leave(name, true)
	return err
}

// mayEnter is false for a client that comes and goes all the time: all others are told each time.
func (c *client) mayEnter(now time.Time) bool {
	next := max(c.enters, now.UnixNano()) + int64(enterEvery)
	if next > now.Add(maxRooms*enterEvery).UnixNano() {
		return false
	}
	c.enters = next
	return true
}

func (c *client) publish(ctx context.Context, q *protocol.PublishRequest) (*protocol.PublishResult, error) {
	if c.in(q.Channel) == nil {
		return nil, errPermission
	}
	p, err := c.postOf(q.Data)
	if err != nil {
		return nil, err
	}
	if err := c.mayNow(ctx); err != nil {
		return nil, err
	}
	_, err = c.s.rooms.Post(ctx, strings.Clone(q.Channel), p)
	return &protocol.PublishResult{}, err
}

// mayNow refuses a user who says too much.
func (c *client) mayNow(ctx context.Context) error {
	wait, ok := c.s.o.Limit.Allow(ctx, c.user)
	if ok {
		return nil
	}
	return refused{errTooMany.code, fmt.Sprintf("too many requests: wait %s", wait.Round(time.Millisecond)), true}
}

func (c *client) postOf(data []byte) (p room.Post, err error) {
	var w struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(data, &w) // an id of another type means nothing here; the room looks whether it is JSON
	if err := room.CheckID(w.ID); w.ID != "" && err != nil {
		return p, refused{errBad.code, err.Error(), false}
	}
	return room.Post{User: c.user, Client: c.id, ID: w.ID, Data: data}, nil
}
