package protocol

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/ws"
	"github.com/theseusd/theseus/sdk/serve/ws/wstest"
)

// wire is a connection that keeps what it is sent.
type wire struct {
	session []byte
	kept    int // times
	out     []byte
	frames  int
	largest int
	full    bool   // it takes nothing
	free    int    // ws.MaxQueue if 0
	sent    func() // is called for each frame
	parks   bool   // a handover waits
	closed  int
}

func (w *wire) Session() []byte { return w.session }
func (w *wire) Fail()           {}

func (w *wire) SetSession(b []byte) error {
	w.session = b
	w.kept++
	return nil
}

func (w *wire) Parking() bool { return w.parks }

func (w *wire) Free() int {
	if w.free == 0 {
		return ws.MaxQueue
	}
	return w.free
}

func (w *wire) SendFrame(b []byte) error {
	switch {
	case w.closed != 0:
		return net.ErrClosed
	case w.full:
		return serve.ErrSlow
	}
	w.out = append(w.out, b...)
	w.frames++
	w.largest = max(w.largest, len(b))
	if w.sent != nil {
		w.sent()
	}
	return nil
}

func (w *wire) Close(code int, _ string) {
	if w.closed == 0 {
		w.closed = code
	}
}

// startRooms has one, called general.
func startRooms(t testing.TB) (rooms *room.Rooms) {
	t.Helper()
	sdktest.Start(t, sdk.Service{Name: "chat", Version: "1.0.0", Setup: func(s *sdk.Setup) error {
		rooms = room.New(s)
		return nil
	}}, sdktest.Options{})
	if _, err := rooms.Create(t.Context(), "general"); err != nil {
		t.Fatal(err)
	}
	return rooms
}

// open is a client that has connected.
func open(t testing.TB, s *Server, f form) (*client, *wire) {
	t.Helper()
	w := &wire{session: fresh(f)}
	c := s.enter(w)
	c.commands(hello(t, f))
	return c, w
}

// hello is the first command.
func hello(t testing.TB, f form) []byte {
	t.Helper()
	cmd := &protocol.Command{Id: 1, Connect: &protocol.ConnectRequest{}}
	var e protocol.CommandEncoder = protocol.NewJSONCommandEncoder()
	if f == formProtobuf {
		e = protocol.NewProtobufCommandEncoder()
	}
	b, err := e.Encode(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// understood decodes everything that was sent.
func understood(t testing.TB, f form, out []byte) {
	t.Helper()
	for r := bytes.NewReader(out); r.Len() > 0; {
		frame, err := wstest.ReadFrame(r)
		if err != nil {
			t.Fatal(err)
		}
		var d protocol.ReplyDecoder = protocol.NewJSONReplyDecoder(frame.Payload)
		if f == formProtobuf {
			d = protocol.NewProtobufReplyDecoder(frame.Payload)
		}
		for err == nil {
			_, err = d.Decode()
		}
		if !errors.Is(err, io.EOF) {
			t.Fatalf("%q: %v", frame.Payload, err)
		}
	}
}
