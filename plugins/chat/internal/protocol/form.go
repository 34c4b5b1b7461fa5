package protocol

import (
	"bytes"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk/serve/ws"
)

// form is how a client speaks; it is the number of the form in a room.Event too.
type form uint8

const (
	formJSON form = iota
	formProtobuf
	formSSE   // JSON, as events of an EventSource
	formLines // JSON, a line each
)

func (f form) kind() protocol.Type {
	if f == formProtobuf {
		return protocol.TypeProtobuf
	}
	return protocol.TypeJSON
}

// words is a reply as it is said.
func (f form) words(r *protocol.Reply) ([]byte, error) {
	return protocol.GetReplyEncoder(f.kind()).Encode(r)
}

// frame puts words into one frame of a WebSocket, or into what stands for one in a stream.
func (f form) frame(words ...[]byte) []byte {
	e := protocol.GetDataEncoder(f.kind())
	defer protocol.PutDataEncoder(f.kind(), e)
	for _, w := range words {
		_ = e.Encode(w) // it never fails
	}
	return f.wrap(e.FinishNoCopy())
}

// alone is the frame of one reply.
func (f form) alone(r *protocol.Reply) ([]byte, error) {
	b, err := f.words(r)
	if err != nil {
		return nil, err
	}
	return f.frame(b), nil
}

func (f form) wrap(replies []byte) []byte {
	switch f {
	case formSSE: // a line is an event: each is one reply, without an end of a line within
		b := append([]byte("data: "), bytes.ReplaceAll(replies, []byte("\n"), []byte("\n\ndata: "))...)
		return append(b, "\n\n"...)
	case formLines:
		return append(bytes.Clone(replies), '\n')
	}
	return ws.Frame(f == formJSON, replies)
}

// event is the frame of what happens in a room; nil if it cannot be said.
func (f form) event(e *room.Event) []byte {
	return e.Frame(int(f), func(e *room.Event) []byte {
		b, err := f.alone(&protocol.Reply{Push: push(e)})
		if err != nil {
			return nil
		}
		return b
	})
}

func push(e *room.Event) *protocol.Push {
	p := &protocol.Push{Channel: e.Room}
	switch e.Kind {
	case room.Said:
		p.Pub = publication(e.Entry)
	case room.Joined:
		p.Join = &protocol.Join{Info: info(e.Who)}
	case room.Left:
		p.Leave = &protocol.Leave{Info: info(e.Who)}
	}
	return p
}

func publication(e room.Entry) *protocol.Publication {
	p := &protocol.Publication{Data: e.Data, Offset: e.Offset, Tags: e.Tags()}
	if !e.At.IsZero() {
		p.Time = e.At.UnixMilli()
	}
	if e.User != "" {
		p.Info = &protocol.ClientInfo{User: e.User, Client: e.Client}
	}
	return p
}

func publications(list []room.Entry) []*protocol.Publication {
	all := make([]*protocol.Publication, 0, len(list))
	for _, e := range list {
		all = append(all, publication(e))
	}
	return all
}

func info(w room.Who) *protocol.ClientInfo {
	return &protocol.ClientInfo{User: w.User, Client: w.Client, ConnInfo: protocol.Raw(w.Info)}
}
