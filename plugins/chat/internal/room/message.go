package room

import (
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

// MessageSchema of the table of messages.
var MessageSchema = state.Schema[Message]{Name: "message", Version: 1}

// Room is what is kept of a room besides its messages.
type Room struct {
	Epoch   string        `json:"epoch"`
	Created time.Time     `json:"created"`
	First   uint64        `json:"first"` // messages before it were deleted
	Last    uint64        `json:"last"`  // there is no fewer; those behind it are found
	Removed bool          `json:"removed,omitempty"`
	Pace    time.Duration `json:"pace,omitempty"` // between two messages of a user
}

// Schema of the table of rooms.
var Schema = state.Schema[Room]{Name: "room", Version: 1}

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

// Say is the data of a message that is text alone.
func Say(text string) []byte {
	b, _ := json.Marshal(map[string]string{"text": text})
	return b
}
