package protocol

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/theseusd/theseus/plugins/chat/internal/limit"
	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk/serve/ws"
)

// Path is where the WebSocket is. Streams are beside it: see stream.go.
const Path = "/connection/websocket"

// Limits of a client.
const (
	maxRooms     = 128                    // that it may be in, and come into at once
	enterEvery   = 100 * time.Millisecond // for one more
	maxCommands  = 256                    // in a frame
	maxHeld      = 20 * time.Millisecond  // for which a frame may hold up a handover
	maxHistory   = 1000                   // messages in an answer
	patience     = 5 * time.Second        // for a room's answer
	pingEvery    = 25 * time.Second       // unless Options.Ping says otherwise
	pingSpread   = 5 * time.Second        // for those of another version, whose last one may be pingEvery ago: SDKs wait for 10 s more
	pongWithin   = 10 * time.Second
	connectTime  = 10 * time.Second // for the first command
	refreshGrace = 25 * time.Second // after a token's end
	requestTime  = 10 * time.Second // for a request over HTTP to arrive
	answerTime   = 10 * time.Second // for its answer, or what was said last in one that does not end, to be taken
	maxClients   = 15_000           // unless Options.Clients says otherwise: files and the other version's clients need descriptors too
)

// Options of a Server. The zero value works.
type Options struct {
	Auth    Auth
	Origins []string       // see ws.Server
	Skip    bool           // a client that is too slow loses a subscription and reads the history; else it is disconnected
	Queue   int            // bytes that wait for a client at most; ws.MaxQueue if 0
	Ping    time.Duration  // pingEvery if 0
	Clients int            // that there may be; maxClients if 0
	HTTP    http.Handler   // see ws.Server
	Limit   *limit.Limiter // of what a user says; nil is none
}

// Server has the clients.
type Server struct {
	rooms *room.Rooms
	o     Options

	clients  register
	sessions sync.Map // clients whose connections are streams, by their keys

	mu     sync.Mutex
	closed map[int]uint64 // connections, by code
	lagged uint64         // subscriptions
}

// New makes a server of rooms.
func New(rooms *room.Rooms, o Options) *Server {
	if o.Ping == 0 {
		o.Ping = pingEvery
	}
	if o.Queue == 0 {
		o.Queue = ws.MaxQueue
	}
	if o.Clients == 0 {
		o.Clients = maxClients
	}
	if o.Limit == nil {
		o.Limit = limit.New(limit.Rate{}, "", "")
	}
	return &Server{rooms: rooms, o: o, closed: map[int]uint64{}}
}

// protobuf is how a client asks for it.
const protobuf = "centrifuge-protobuf"

// WebSocket is the server for package ws.
func (s *Server) WebSocket() ws.Server {
	return ws.Server{
		Broken: func(_ *ws.Conn, code int) { s.count(&farewell{code: code}) },
		Admit:  s.admit, Open: s.opened, Resume: s.opened, Message: s.message, Closed: s.ended,
		Farewell: ws.Farewell{Code: byeStop.code, Reason: byeStop.reason},
		HTTP:     s.http(), ReadTimeout: requestTime, WriteTimeout: answerTime, MaxConns: s.o.Clients,
		Origins: s.o.Origins, Protocols: []string{"centrifuge-json", protobuf}, MaxQueue: s.o.Queue,
	}
}

// errFull is what a client too many is told.
var errFull = &ws.Refusal{Status: http.StatusServiceUnavailable, Text: "there are too many connections"}

// full is true if no client more may come. Of those who come in the same instant some more may.
func (s *Server) full() bool {
	return s.clients.len() >= s.o.Clients
}

// admit notes which form the client speaks.
func (s *Server) admit(r *http.Request, spoken string) ([]byte, error) {
	switch {
	case s.astray(r):
		return nil, errHost
	case r.URL.Path != Path:
		return nil, &ws.Refusal{Status: http.StatusNotFound, Text: "the chat is at " + Path}
	case s.full():
		return nil, errFull
	}
	first := formJSON
	if q := r.URL.Query(); spoken == protobuf || q.Get("format") == "protobuf" || q.Get("cf_protocol") == "protobuf" {
		first = formProtobuf
	}
	return fresh(first), nil
}

// opened makes a client of a connection, be it new or from another version.
func (s *Server) opened(c *ws.Conn) {
	if cl := s.enter(c); cl != nil {
		c.Value = cl
	}
}

func (s *Server) enter(c conn) *client {
	now := time.Now()
	cl := &client{s: s, conn: c, pinged: now, heard: now}
	if err := cl.recall(c.Session()); err != nil {
		c.Close(ws.CloseError, err.Error())
		return nil
	}
	connected := cl.id != ""
	if connected {
		cl.pingWithin(min(s.o.Ping, pingSpread), now)
	}
	s.clients.add(cl)
	if connected {
		s.welcome(cl)
	}
	return cl
}

// welcome has a client go on that has come from another version, unless the settings of this one are against it.
func (s *Server) welcome(cl *client) {
	s.rooms.Add(cl)
	for _, sub := range cl.those(false) {
		s.rooms.Join(cl, &sub.Seat)
	}
	if !s.o.Auth.holds(cl.user, cl.proof) {
		cl.close(byeToken)
	}
}

func (s *Server) ended(c *ws.Conn, moved bool) {
	if cl, ok := c.Value.(*client); ok {
		s.exit(cl, moved)
	}
}

// exit takes a client out. One that was handed over has not left.
func (s *Server) exit(cl *client, moved bool) {
	s.clients.remove(cl)
	cl.turn.Lock()
	defer cl.turn.Unlock()
	cl.gone = true
	for _, sub := range cl.those(false) {
		s.rooms.Leave(cl, &sub.Seat, moved)
	}
	s.rooms.Audience.Remove(cl)
}

func (s *Server) message(c *ws.Conn, _ bool, frame []byte) {
	if cl, ok := c.Value.(*client); ok {
		cl.commands(frame)
	}
}

// Stats counts since this process began.
type Stats struct {
	Closed map[int]uint64 `json:"closed"` // connections that were closed here, by the code
	Slow   uint64         `json:"slow"`   // clients that did not keep up, and lost their connection or a subscription
}

// Stats counts.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Closed: maps.Clone(s.closed), Slow: s.closed[byeSlow.code] + s.lagged}
}

func (s *Server) count(f *farewell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed[f.code]++
}

func (s *Server) countLagged() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lagged++
}

// turns is how often within a second some of the clients are tended: all at once they would hold up who talks meanwhile.
const turns = 10

// Run pings the clients and closes those that are gone.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second / turns)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for _, cl := range s.clients.turn(turns) {
				cl.tend(now)
			}
		}
	}
}
