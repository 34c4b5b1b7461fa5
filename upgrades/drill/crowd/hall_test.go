package crowd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/centrifugal/protocol"
	"github.com/gobwas/ws/wsutil"
)

// hall is a chat with one room, as good or as bad as a test wants it.
type hall struct {
	epoch      string
	forgetful  bool                        // nobody recovers
	spoil      func(*protocol.Publication) // what is told of a message, and not what is kept
	refuse     func(word) *protocol.Error
	heard      func(word)
	lost       int // of the newest messages, at a cut
	mu         sync.Mutex
	log        []*protocol.Publication
	ids        map[string]bool
	guests     map[*guest]bool
	subscribed []*protocol.SubscribeRequest
	histories  int
}

// guest is a client in the hall.
type guest struct {
	conn net.Conn
	say  chan []byte
}

func newHall() *hall {
	return &hall{epoch: "first", ids: map[string]bool{}, guests: map[*guest]bool{}}
}

// crowd is one whose clients come to the hall.
func (h *hall) crowd(o Options) *Crowd {
	o.Rooms = []string{"general"}
	c := newCrowd(o)
	c.dial = func(context.Context) (net.Conn, *bufio.Reader, error) {
		server, client := net.Pipe()
		g := &guest{server, make(chan []byte, 1000)}
		go g.write()
		go h.serve(g)
		return client, bufio.NewReader(client), nil
	}
	return c
}

func (g *guest) write() {
	for b := range g.say {
		_ = wsutil.WriteServerText(g.conn, b)
	}
}

func (h *hall) serve(g *guest) {
	defer close(g.say)
	for {
		b, err := wsutil.ReadClientText(g.conn)
		if err != nil {
			h.part(g)
			return
		}
		cmd, err := protocol.NewJSONCommandDecoder(b).Decode()
		if err != nil && !errors.Is(err, io.EOF) {
			panic(err)
		}
		h.answer(g, cmd)
	}
}

func (h *hall) part(g *guest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.guests, g)
}

// cutAll cuts all connections, and has things said before anybody is back.
func (h *hall) cutAll(meanwhile ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for g := range h.guests {
		_ = g.conn.Close()
	}
	h.guests = map[*guest]bool{}
	h.log = h.log[:len(h.log)-h.lost]
	for _, text := range meanwhile {
		h.keep(fmt.Appendf(nil, "%q", text))
	}
}

func (h *hall) keep(data []byte) {
	h.log = append(h.log, &protocol.Publication{Offset: uint64(len(h.log) + 1), Data: data})
}

func (h *hall) tell(r *protocol.Reply, to ...*guest) {
	b, err := protocol.NewJSONReplyEncoder().Encode(r)
	if err != nil {
		panic(err)
	}
	for _, g := range to {
		g.say <- b
	}
}

func (h *hall) answer(g *guest, cmd *protocol.Command) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &protocol.Reply{Id: cmd.Id}
	switch {
	case cmd.Connect != nil:
		r.Connect = &protocol.ConnectResult{}
	case cmd.Subscribe != nil:
		r.Subscribe = h.subscribe(cmd.Subscribe)
		defer func() { h.guests[g] = true }()
	case cmd.History != nil:
		h.histories++
		r.History = &protocol.HistoryResult{Offset: uint64(len(h.log)), Epoch: h.epoch}
		missed := h.log[cmd.History.Since.Offset:]
		r.History.Publications = missed[:min(len(missed), 2)]
		h.publish([]byte(`"while the history is read"`))
	case cmd.Publish != nil:
		r.Publish, r.Error = h.say(cmd.Publish)
	}
	h.tell(r, g)
}

func (h *hall) subscribe(q *protocol.SubscribeRequest) *protocol.SubscribeResult {
	h.subscribed = append(h.subscribed, q)
	r := &protocol.SubscribeResult{Epoch: h.epoch, Offset: uint64(len(h.log)), WasRecovering: q.Recover}
	if q.Recover && !h.forgetful && q.Offset <= r.Offset {
		r.Recovered, r.Publications = true, h.log[q.Offset:]
	}
	return r
}

func (h *hall) say(q *protocol.PublishRequest) (*protocol.PublishResult, *protocol.Error) {
	var w word
	if err := json.Unmarshal(q.Data, &w); err != nil {
		panic(err)
	}
	if h.heard != nil {
		h.heard(w)
	}
	if h.refuse != nil {
		if err := h.refuse(w); err != nil {
			return nil, err
		}
	}
	if !h.ids[w.ID] {
		h.ids[w.ID] = true
		h.publish(q.Data)
	}
	return &protocol.PublishResult{}, nil
}

// publish keeps a message and tells it to all.
func (h *hall) publish(data []byte) {
	h.keep(data)
	told := &protocol.Publication{Offset: uint64(len(h.log)), Data: data}
	if h.spoil != nil {
		h.spoil(told)
	}
	h.tell(&protocol.Reply{Push: &protocol.Push{Channel: "general", Pub: told}}, slices.Collect(maps.Keys(h.guests))...)
}
