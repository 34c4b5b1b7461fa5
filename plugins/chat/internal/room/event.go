package room

import "sync/atomic"

// Kind of an event.
type Kind uint8

// What happens in a room.
const (
	Said   Kind = iota // a message; its offset is 0 if it is not kept
	Joined             // Who came in
	Left               // Who went
)

// Event is what members of a room are told.
type Event struct {
	Room string
	Kind Kind
	Entry
	Who Who

	frames [4]atomic.Pointer[[]byte]
}

// Frame is the event in one of four forms, made by the first who wants it so.
func (e *Event) Frame(form int, encode func(*Event) []byte) []byte {
	if b := e.frames[form].Load(); b != nil {
		return *b
	}
	b := encode(e)
	e.frames[form].Store(&b)
	return b
}

// notice is a message by the room itself, which is down or not. It is not kept.
func notice(room, text string, down bool) *Event {
	data := encode(struct {
		Type string `json:"type"`
		Text string `json:"text"`
		Down bool   `json:"down,omitempty"`
	}{"notice", text, down})
	return &Event{Room: room, Kind: Said, Entry: Entry{Message: Message{Data: data, At: now()}}}
}
