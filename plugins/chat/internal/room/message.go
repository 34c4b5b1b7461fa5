package room

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/theseusd/theseus/sdk/state"
)

// Message is one row of a history.
type Message struct {
	User    string    `json:"user"`
	Client  string    `json:"client,omitempty"` // the connection it came from
	ID      string    `json:"id,omitempty"`     // by which its author knows it
	Data    []byte    `json:"data"`             // JSON
	At      time.Time `json:"at"`
	Edited  time.Time `json:"edited,omitzero"`
	Deleted bool      `json:"deleted,omitempty"`
}

// size is about what a message takes, here and on its way to a client.
func (m Message) size() int { return len(m.Data) + len(m.User) + len(m.Client) + len(m.ID) + 64 }

// MessageSchema of the table of messages.
var MessageSchema = state.Schema[Message]{Name: "message", Version: 1}

// Room is what is kept of a room besides its messages.
type Room struct {
	Epoch   string        `json:"epoch"`
	Created time.Time     `json:"created"`
	First   uint64        `json:"first"` // messages before it were deleted
	Last    uint64        `json:"last"`  // there is no fewer; those behind it are found
	Bytes   int           `json:"bytes"` // about what the messages up to Last take
	Removed bool          `json:"removed,omitempty"`
	Pace    time.Duration `json:"pace,omitempty"` // between two messages of a user
}

// Schema of the table of rooms.
var Schema = state.Schema[Room]{Name: "room", Version: 1}

// Span is the offsets behind a position or, in reverse, those before it; all if there is none. Walk takes them in that order.
func (r Room) Span(since *uint64, reverse bool) (from, to uint64, some bool) {
	first, last := r.First, r.Last
	switch {
	case since == nil:
	case reverse:
		last = min(last, max(*since, 1)-1)
	case *since >= last:
		return 0, 0, false
	default:
		first = max(first, *since+1)
	}
	if reverse {
		return last, first, first <= last
	}
	return first, last, first <= last
}

// Text is what a message says to a person: its field "text", or all of it.
func (m Message) Text() string {
	if m.Deleted {
		return "(deleted)"
	}
	var said struct {
		Text *string `json:"text"`
	}
	if json.Unmarshal(m.Data, &said) == nil && said.Text != nil {
		return *said.Text
	}
	return string(m.Data)
}

// Tags tell programs that a message was deleted or edited; there are none if it was not.
func (m Message) Tags() map[string]string {
	switch {
	case m.Deleted:
		return map[string]string{"deleted": "true"}
	case !m.Edited.IsZero():
		return map[string]string{"edited": "true"}
	}
	return nil
}

// Change is what a message says that tells of a change of another one. The room alone says such messages.
type Change struct {
	Type   string          `json:"type"`           // edit or delete
	Offset uint64          `json:"offset"`         // of the message that was changed
	User   string          `json:"user"`           // whose message that is
	Data   json.RawMessage `json:"data,omitempty"` // of an edit: what it says now, for those who are here; it is not kept twice
}

// Change is what the message tells of another one, if it does.
func (m Message) Change() (c Change, ok bool) {
	err := json.Unmarshal(m.Data, &c)
	return c, err == nil && (c.Type == "edit" || c.Type == "delete")
}

// Say is the data of a message that is text alone.
func Say(text string) []byte { return encode(map[string]string{"text": text}) }

// encode is what the room says, as JSON that people can read.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
