package room

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// MaxDepth is how deep the data of a message may be nested: not all that read JSON bear more.
const MaxDepth = 64

// Errors of what is said.
var (
	ErrData     = errors.New("data has to be JSON, in UTF-8, and nested at most 64 deep")
	ErrReserved = errors.New("edit, delete and notice are types of what the room itself says")
)

// Tidy is data as it is kept: any client can read it, in whatever way it is sent.
func Tidy(data []byte) ([]byte, error) {
	if !utf8.Valid(data) || !json.Valid(data) || depth(data) > MaxDepth {
		return nil, ErrData
	}
	if !bytes.ContainsAny(data, "\r\n") { // without them between its words it is one line
		return data, nil
	}
	var b bytes.Buffer
	err := json.Compact(&b, data)
	return b.Bytes(), err
}

// depth is how deep JSON is nested.
func depth(data []byte) (deepest int) {
	in, text := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '[', c == '{':
			in++
			deepest = max(deepest, in)
		case c == ']', c == '}':
			in--
		}
	}
	return deepest
}

// tidied is what somebody wants to say, fit to be kept, and what that says of itself.
func tidied(data []byte) ([]byte, claims, error) {
	c := claimsOf(data)
	if c.Type {
		return nil, c, ErrReserved
	}
	data, err := Tidy(data)
	return data, c, err
}

// claims is what data says of itself by its fields.
type claims struct {
	Type      ownType `json:"type"`
	Ephemeral bool    `json:"ephemeral"`
}

func claimsOf(data []byte) (c claims) {
	_ = json.Unmarshal(data, &c) // fields of other types mean nothing here
	return c
}

// ownType is true if one of the types that data gives itself is of the room's own. There may be several, and in other letters: which of
// them counts is for the reader to say.
type ownType bool

// UnmarshalJSON looks at one of them.
func (o *ownType) UnmarshalJSON(b []byte) error {
	var name string
	if json.Unmarshal(b, &name) == nil && (name == "edit" || name == "delete" || name == "notice") {
		*o = true
	}
	return nil
}
