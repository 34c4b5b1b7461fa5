package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/serve/ws/wstest"
)

// wire is a connection that keeps what it is sent.
type wire struct {
	session []byte
	out     []byte
	closed  int
}

func (w *wire) Session() []byte           { return w.session }
func (w *wire) SetSession(b []byte) error { w.session = b; return nil }
func (w *wire) Fail()                     {}

func (w *wire) SendFrame(b []byte) error {
	w.out = append(w.out, b...)
	return nil
}

func (w *wire) Close(code int, _ string) {
	if w.closed == 0 {
		w.closed = code
	}
}

// Whatever a client says, each answer is one that clients understand, and nothing of it stays when it has gone.
func FuzzCommands(f *testing.F) {
	f.Add([]byte(`{"id":1,"connect":{}}`+"\n"+`{"id":2,"subscribe":{"channel":"general","recover":true,"epoch":"x","offset":3}}`), false)
	f.Add([]byte(`{"id":3,"publish":{"channel":"general","data":{"id":"a","text":"b"}}}`), false)
	f.Add([]byte(`{"id":4,"history":{"channel":"general","limit":-1,"reverse":true,"since":{"offset":0}}}`), false)
	f.Add([]byte(`{"id":5,"rpc":{"method":"edit","data":{"room":"general","offset":1,"data":1}}}`+"\n{}"), false)
	f.Add([]byte{9, 8, 1, 0x2a, 5, 10, 3, 'a', 'b', 'c'}, true)
	var rooms *room.Rooms
	sdktest.Start(f, sdk.Service{Name: "chat", Version: "1.0.0", Setup: func(s *sdk.Setup) error {
		rooms = room.New(s)
		return nil
	}}, sdktest.Options{})
	if _, err := rooms.Create(f.Context(), "general"); err != nil {
		f.Fatal(err)
	}
	s := New(rooms, Options{})
	f.Fuzz(func(t *testing.T, frame []byte, binary bool) {
		first := session{Form: formJSON}
		if binary {
			first.Form = formProtobuf
		}
		b, _ := json.Marshal(first)
		w := &wire{session: b}
		c := s.enter(w)
		c.commands(hello(t, first.Form))
		c.commands(frame)
		c.s.exit(c, false)
		understood(t, first.Form, w.out)
		if rooms.Size("general") != 0 || rooms.Members() != 0 || len(s.all()) != 0 {
			t.Fatal("something is left of a client that has gone")
		}
	})
}

// hello is the first command.
func hello(t *testing.T, f form) []byte {
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
func understood(t *testing.T, f form, out []byte) {
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
