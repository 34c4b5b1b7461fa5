package ws

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"github.com/theseusd/theseus/sdk/serve"
)

// handshake reads a request, and answers it: an upgrade here, any other by net/http. It returns the loop of a connection
// that is a WebSocket now.
func (d *door) handshake(sc *serve.Conn) *loop {
	_ = sc.SetReadDeadline(time.Now().Add(HandshakeLimit))
	buf, end, err := readHeader(sc)
	if err != nil {
		refuse(sc, err)
		return nil
	}
	_ = sc.SetReadDeadline(time.Time{})
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(buf[:end])))
	switch {
	case err != nil:
		refuse(sc, &Refusal{http.StatusBadRequest, "the request cannot be read"})
		return nil
	case !wantsUpgrade(r):
		d.plain(sc, buf)
		return nil
	}
	r.RemoteAddr = sc.RemoteAddr().String()
	return d.upgrade(sc, r, buf, end)
}

// readHeader reads until a header has ended. A connection that is handed over meanwhile takes along what was read.
func readHeader(sc *serve.Conn) (buf []byte, end int, err error) {
	buf = make([]byte, 0, 2*smallBuf)
	for {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		n, err := sc.ReadMore(buf, buf[len(buf):cap(buf)])
		if err != nil {
			return nil, 0, err
		}
		from := max(len(buf)-3, 0)
		buf = buf[:len(buf)+n]
		if i := bytes.Index(buf[from:], []byte("\r\n\r\n")); i >= 0 {
			return buf, from + i + 4, nil
		}
		if len(buf) >= MaxHeader {
			return nil, 0, &Refusal{http.StatusRequestHeaderFieldsTooLarge, "the header is too large"}
		}
	}
}

func wantsUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// upgrade answers a client that wants to be a WebSocket.
func (d *door) upgrade(sc *serve.Conn, r *http.Request, buf []byte, end int) *loop {
	l := &loop{d: d, sc: sc, c: Conn{c: sc, limit: d.MaxQueue}}
	protocol := d.protocol(r)
	session, err := d.admit(r, protocol)
	if err != nil {
		refuse(sc, err)
		return nil
	}
	var answer bytes.Buffer
	u := ws.Upgrader{ProtocolCustom: func([]byte) (string, bool) { return protocol, true }}
	_, err = u.Upgrade(readWriter{bytes.NewReader(buf[:end]), &answer})
	if err != nil {
		_, _ = sc.Write(answer.Bytes())
		return nil
	}
	if err := l.c.SetSession(session); err != nil {
		refuse(sc, err)
		return nil
	}
	if err := sc.Push(answer.Bytes(), d.MaxQueue); err != nil {
		return nil
	}
	sc.Farewell(d.farewell)
	l.buf = bytes.Clone(buf[end:])
	if d.Open != nil {
		d.Open(&l.c)
	}
	return l
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
	if !d.known(r) {
		return nil, &Refusal{http.StatusForbidden, "this origin may not connect"}
	}
	if d.Admit == nil {
		return nil, nil
	}
	return d.Admit(r, protocol)
}

// known is true for a page of the service's own host, or of one that was named; and for clients that are no pages.
func (d *door) known(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(d.Origins, "*") {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && (strings.EqualFold(u.Host, r.Host) || slices.Contains(d.Origins, u.Host))
}

// refuse answers a request with an error, if the client is there to hear it.
func refuse(sc *serve.Conn, err error) {
	if errors.Is(err, serve.ErrHandover) {
		return
	}
	status := http.StatusForbidden
	if r := new(Refusal); errors.As(err, &r) {
		status = r.Status
	} else if isNetwork(err) {
		return
	}
	text := err.Error() + "\n"
	answer := http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Close: true, ContentLength: int64(len(text)),
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}}, Body: io.NopCloser(strings.NewReader(text)),
	}
	var b bytes.Buffer
	_ = answer.Write(&b)
	_, _ = sc.Write(b.Bytes())
}
