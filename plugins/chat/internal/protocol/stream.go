package protocol

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/ws"
)

// Where clients connect that have no WebSocket: what they hear is one answer that does not end, and what they say comes in
// requests of its own, with the session that the answer to connect has given them.
const (
	ssePath    = "/connection/sse"
	streamPath = "/connection/http_stream"
	saysPath   = "/emulation"
)

// node is what clients call the process that has their session; it does not matter which.
const node = "theseus"

// stream is the connection of such a client.
type stream struct {
	form  form
	key   string // by which its client says something
	limit int
	more  chan struct{}   // something is to be sent
	parks <-chan struct{} // see Parking

	mu   sync.Mutex
	out  []byte
	over bool // nothing more will be
}

var _ conn = (*stream)(nil)

func newStream(f form, limit int) *stream {
	return &stream{form: f, key: rand.Text(), limit: limit, more: make(chan struct{}, 1)}
}

// Session is that of a client that has not connected yet.
func (s *stream) Session() []byte { return fresh(s.form) }

// SetSession ends with the answer: it does not travel.
func (s *stream) SetSession([]byte) error { return nil }

// SendFrame keeps a frame for the answer.
func (s *stream) SendFrame(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
		return net.ErrClosed
	case len(s.out)+len(b) > s.limit:
		return serve.ErrSlow
	}
	s.add(b)
	return nil
}

// add is for those who hold the lock.
func (s *stream) add(b []byte) {
	s.out = append(s.out, b...)
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// Free is how many bytes may be sent now.
func (s *stream) Free() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.limit-len(s.out), 0)
}

// Parking is true when the answer is about to end, as those to what its client says now are waited for.
func (s *stream) Parking() bool {
	select {
	case <-s.parks:
		return true
	default:
		return false
	}
}

// Close ends the answer, with the reason as its last word.
func (s *stream) Close(code int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.over = true
	bye := &protocol.Disconnect{Code: uint32(code), Reason: reason}
	b, _ := s.form.alone(&protocol.Reply{Push: &protocol.Push{Disconnect: bye}})
	s.add(b)
}

// Fail is not counted: an answer without an end is no request that takes long.
func (s *stream) Fail() {}

// take is what is to be sent next, and whether that is the end.
func (s *stream) take() (b []byte, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, s.out = s.out, nil
	return b, s.over
}

// http answers whatever is no WebSocket.
func (s *Server) http() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+ssePath, s.known(func(w http.ResponseWriter, r *http.Request) {
		connect := []byte(r.URL.Query().Get("cf_connect"))
		if speaks(connect) {
			http.Error(w, "an address only connects and subscribes", http.StatusBadRequest)
			return
		}
		s.stream(w, r, formSSE, "text/event-stream", connect)
	}))
	mux.HandleFunc("POST "+streamPath, s.known(func(w http.ResponseWriter, r *http.Request) {
		connect, err := io.ReadAll(http.MaxBytesReader(w, r.Body, ws.MaxMessage))
		if err != nil || r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "want connect as JSON", http.StatusBadRequest)
			return
		}
		s.stream(w, r, formLines, "application/json", connect)
	}))
	mux.HandleFunc("POST "+saysPath, s.known(s.says))
	for path, method := range map[string]string{ssePath: http.MethodGet, streamPath: http.MethodPost, saysPath: http.MethodPost} {
		mux.HandleFunc("OPTIONS "+path, s.known(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", method+", OPTIONS")
			http.Error(w, "this address takes "+method+": it is for clients that have no WebSocket", http.StatusMethodNotAllowed)
		})
	}
	mux.HandleFunc(Path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "this is the address of a WebSocket: ask for an upgrade", http.StatusUpgradeRequired)
	})
	if s.o.HTTP != nil {
		mux.Handle("/", s.o.HTTP)
	}
	return s.called(mux)
}

// speaks is true for commands that change something: an address may be followed by any page, and browsers do not tell all servers whose.
func speaks(commands []byte) bool {
	d := protocol.NewJSONCommandDecoder(commands)
	for {
		cmd, err := d.Decode()
		if cmd != nil && (cmd.Publish != nil || cmd.Rpc != nil || cmd.Send != nil) {
			return true
		}
		if err != nil {
			return false
		}
	}
}

// foreign is true for what a page of another origin has a browser load without naming it, such as an image: it cannot read the answer,
// but what it says would be done.
func foreign(r *http.Request) bool {
	from := r.Header.Get("Sec-Fetch-Site")
	return r.Header.Get("Origin") == "" && from != "" && from != "same-origin" && from != "none"
}

// known refuses the pages of hosts that may not connect, and lets browsers know those that may.
func (s *Server) known(next http.HandlerFunc) http.HandlerFunc {
	door := ws.Server{Origins: s.o.Origins}
	return func(w http.ResponseWriter, r *http.Request) {
		if !door.Known(r) || foreign(r) {
			http.Error(w, "this origin may not connect", http.StatusForbidden)
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" {
			h := w.Header()
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Headers", "Content-Type")
			h.Add("Vary", "Origin")
		}
		next(w, r)
	}
}

// stream is the answer that does not end, until the client has enough, or another version takes over: that the client comes
// back to.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, f form, kind string, connect []byte) {
	if s.full() {
		http.Error(w, errFull.Text, errFull.Status)
		return
	}
	out := newStream(f, s.o.Queue)
	out.parks = serve.Parking(r.Context())
	c := s.enter(out)
	s.sessions.Store(out.key, c)
	defer func() { s.sessions.Delete(out.key); s.exit(c, false) }()
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	c.commands(connect)
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{}) // it has arrived
	for {
		select {
		case <-out.more:
		case <-r.Context().Done():
			return
		case <-out.parks:
			return
		}
		b, last := out.take()
		_ = rc.SetWriteDeadline(time.Now().Add(answerTime))
		if _, err := w.Write(b); err != nil || last || rc.Flush() != nil {
			return
		}
	}
}

// says does what a client says in a request of its own. Whoever has no session any more sees that by its stream.
func (s *Server) says(w http.ResponseWriter, r *http.Request) {
	var said struct {
		Session string `json:"session"`
		Data    string `json:"data"`
	}
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 2*ws.MaxMessage)).Decode(&said) != nil || len(said.Data) > ws.MaxMessage {
		http.Error(w, "want a session and commands as JSON", http.StatusBadRequest)
		return
	}
	if c, ok := s.sessions.Load(said.Session); ok {
		c.(*client).commands([]byte(said.Data))
	}
	w.WriteHeader(http.StatusNoContent)
}
