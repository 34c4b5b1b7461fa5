package ws

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/internal/buf"
)

// handshake reads a request, and answers it: an upgrade here, any other by net/http.
func (d *door) handshake(sc *serve.Conn) {
	_ = sc.SetReadDeadline(time.Now().Add(HandshakeLimit))
	in, end, err := readHeader(sc)
	if errors.Is(err, errHeader) {
		refuse(sc, errHeader)
	}
	if err != nil {
		return
	}
	_ = sc.SetReadDeadline(time.Time{})
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in[:end])))
	switch {
	case err != nil:
		refuse(sc, &Refusal{http.StatusBadRequest, "the request cannot be read"})
		return
	case !wantsUpgrade(r):
		d.plain(sc, in)
		return
	}
	r.RemoteAddr = sc.RemoteAddr().String()
	n := d.open.Add(1)
	if d.MaxConns > 0 && n > int64(d.MaxConns) {
		refuse(sc, &Refusal{http.StatusServiceUnavailable, "there are too many connections"})
	} else if d.upgrade(sc, r, in, end) {
		return
	}
	d.open.Add(-1)
}

var errHeader = &Refusal{http.StatusRequestHeaderFieldsTooLarge, "the header is too large"}

// readHeader reads until a header has ended. A connection that is handed over meanwhile takes along what was read.
func readHeader(sc *serve.Conn) (in []byte, end int, err error) {
	b, from := buf.New(keptBuf, nil), 0
	for {
		if err := b.Read(sc); err != nil {
			return nil, 0, err
		}
		in = b.Unused()
		if i := bytes.Index(in[from:], []byte("\r\n\r\n")); i >= 0 {
			return in, from + i + 4, nil
		}
		if len(in) >= MaxHeader {
			return nil, 0, errHeader
		}
		from = max(len(in)-3, 0)
	}
}

func wantsUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// upgrade answers a client that wants to be a WebSocket, and tells whether it is one now.
func (d *door) upgrade(sc *serve.Conn, r *http.Request, in []byte, end int) bool {
	protocol := d.protocol(r)
	session, err := d.admit(r, protocol)
	if err == nil && len(session) > MaxSession {
		err = errSession
	}
	if err != nil {
		refuse(sc, refusalOf(sc, err))
		return false
	}
	var answer bytes.Buffer
	u := ws.Upgrader{ProtocolCustom: func([]byte) (string, bool) { return protocol, true }}
	_, err = u.Upgrade(readWriter{bytes.NewReader(in[:end]), &answer})
	if err != nil {
		_, _ = sc.Write(answer.Bytes())
		return false
	}
	return d.begin(sc, session, answer.Bytes(), in[end:])
}

// begin makes a WebSocket of a connection, with what was read behind the request.
func (d *door) begin(sc *serve.Conn, session, answer, rest []byte) bool {
	err := sc.SetSession(append([]byte{openBit}, session...))
	if err != nil {
		return false
	}
	c, err := sc.ToEvents()
	if err != nil {
		return false
	}
	l := d.newLoop(c)
	if len(rest) > 0 {
		l.r = newReader(bytes.Clone(rest))
	}
	_ = c.Push(answer, math.MaxInt)
	if d.Open != nil {
		d.Open(&l.c)
	}
	return true
}

type readWriter struct {
	io.Reader
	io.Writer
}

// protocol is the client's first that is spoken here; "" if there is none.
func (d *door) protocol(r *http.Request) string {
	for _, list := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); slices.Contains(d.Protocols, name) {
				return name
			}
		}
	}
	return ""
}

func (d *door) admit(r *http.Request, protocol string) ([]byte, error) {
	if !d.Known(r) {
		return nil, &Refusal{http.StatusForbidden, "this origin may not connect"}
	}
	if d.Admit == nil {
		return nil, nil
	}
	return d.Admit(r, protocol)
}

// Known is true for a request of a page of the service's own host, or of one of Origins; and for clients that are no pages.
func (s Server) Known(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(s.Origins, "*") {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && (strings.EqualFold(u.Host, r.Host) || slices.Contains(s.Origins, u.Host))
}

// refusalOf is what a client that is not admitted is told. An error that is not meant for clients is the service's to know.
func refusalOf(sc *serve.Conn, err error) *Refusal {
	if r := new(Refusal); errors.As(err, &r) {
		return r
	}
	sc.Logger().Warn("a client is not admitted", "client", sc.RemoteAddr().String(), "error", err)
	return &Refusal{http.StatusForbidden, "you may not connect"}
}

// refuse answers a request with an error.
func refuse(sc *serve.Conn, r *Refusal) {
	text := r.Text + "\n"
	answer := http.Response{
		StatusCode: r.Status, ProtoMajor: 1, ProtoMinor: 1, Close: true, ContentLength: int64(len(text)),
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, Body: io.NopCloser(strings.NewReader(text)),
	}
	var b bytes.Buffer
	_ = answer.Write(&b)
	_, _ = sc.Write(b.Bytes())
}
