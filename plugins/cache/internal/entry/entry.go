// Package entry is how the cache writes a value into a row.
//
//	flags  [ttl]  [sequence, tags]  payload
//
// The flags say what kind of value the payload is and which of the parts are there. A string without a time to live and
// without tags costs one byte. The version before had the payload alone, without flags.
package entry

import (
	"encoding/binary"
	"errors"
)

// Kind of a value.
type Kind byte

// The kinds.
const (
	String Kind = 0
	Hash   Kind = 1
)

// String is Redis' word for the type.
func (k Kind) String() string {
	if k == Hash {
		return "hash"
	}
	return "string"
}

const (
	kindMask = 3
	hasTTL   = 1 << 2
	hasTags  = 1 << 3
)

// An Entry is a value with what the cache knows of it. The zero value is an empty string.
type Entry struct {
	Kind    Kind
	TTL     int64    // milliseconds that it was given to live, 0 for none or an instant; what a touch gives it again
	Tags    []string // of groups that it can be invalidated with
	Seq     uint64   // the last invalidation before it was tagged
	Payload []byte
}

// ErrRow says that a row is none of the cache's.
var ErrRow = errors.New("cache: the row is damaged")

// Append adds the row of e to b.
func (e *Entry) Append(b []byte) []byte { return append(e.appendHead(b), e.Payload...) }

func (e *Entry) appendHead(b []byte) []byte {
	flags := byte(e.Kind)
	if e.TTL > 0 {
		flags |= hasTTL
	}
	if len(e.Tags) > 0 {
		flags |= hasTags
	}
	b = append(b, flags)
	if e.TTL > 0 {
		b = binary.AppendUvarint(b, uint64(e.TTL))
	}
	if len(e.Tags) == 0 {
		return b
	}
	b = binary.AppendUvarint(binary.AppendUvarint(b, e.Seq), uint64(len(e.Tags)))
	for _, tag := range e.Tags {
		b = append(binary.AppendUvarint(b, uint64(len(tag))), tag...)
	}
	return b
}

// Parse reads a row. The payload lies in b.
func Parse(b []byte) (e Entry, err error) {
	if len(b) == 0 || b[0]&^(kindMask|hasTTL|hasTags) != 0 || Kind(b[0]&kindMask) > Hash {
		return e, ErrRow
	}
	flags, r := b[0], reader{rest: b[1:]}
	e.Kind = Kind(flags & kindMask)
	if flags&hasTTL != 0 {
		e.TTL = int64(r.number())
	}
	if flags&hasTags != 0 {
		e.Seq = r.number()
		e.Tags = r.texts(r.number())
	}
	if r.bad {
		return Entry{}, ErrRow
	}
	e.Payload = r.rest
	return e, nil
}

// reader takes parts off the front; bad says that one was not there.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, nil
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) texts(n uint64) (list []string) {
	for ; n > 0 && !r.bad; n-- {
		list = append(list, string(r.bytes()))
	}
	return list
}

// Up makes a row of a payload that the version before wrote, and of what it kept for this one.
func Up(payload, kept []byte) []byte {
	if row := append(append([]byte(nil), kept...), payload...); len(kept) > 0 && sound(row) {
		return row
	}
	return append([]byte{byte(String)}, payload...)
}

// sound tells whether a row can be read: a hash that the version before has overwritten cannot.
func sound(row []byte) bool {
	e, err := Parse(row)
	if err == nil && e.Kind == Hash {
		_, err = ParseFields(e.Payload)
	}
	return err == nil
}

// Down is the other way: the payload, and what the version before must keep. A hash looks like a string of bytes to it.
func Down(row []byte) (payload, keep []byte, err error) {
	e, err := Parse(row)
	if err != nil {
		return nil, nil, err
	}
	if head := row[:len(row)-len(e.Payload)]; len(head) > 1 || head[0] != 0 {
		keep = head
	}
	return e.Payload, keep, nil
}
