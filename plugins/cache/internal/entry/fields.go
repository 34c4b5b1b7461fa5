package entry

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Field of a hash.
type Field struct{ Name, Value []byte }

// Fields of a hash in the order in which they were first set. They are one payload: each change writes all of them. The
// zero value is none.
type Fields struct {
	All []Field

	asked  int            // how often a name was looked for
	places map[string]int // of names, once many are looked for among many; nil before
}

// ParseFields reads the payload of a hash; the fields lie in it.
func ParseFields(payload []byte) (fs Fields, err error) {
	r := reader{rest: payload}
	n := r.number()
	if n > uint64(len(payload)) {
		return fs, ErrRow
	}
	fs.All = make([]Field, 0, n)
	for range n {
		fs.All = append(fs.All, Field{r.bytes(), r.bytes()})
	}
	if r.bad || len(r.rest) > 0 {
		return Fields{}, ErrRow
	}
	return fs, nil
}

// Payload is the other way.
func (fs *Fields) Payload() []byte {
	size := binary.MaxVarintLen32
	for _, f := range fs.All {
		size += 2*binary.MaxVarintLen32 + len(f.Name) + len(f.Value)
	}
	b := binary.AppendUvarint(make([]byte, 0, size), uint64(len(fs.All)))
	for _, f := range fs.All {
		b = append(binary.AppendUvarint(b, uint64(len(f.Name))), f.Name...)
		b = append(binary.AppendUvarint(b, uint64(len(f.Value))), f.Value...)
	}
	return b
}

// Len is how many there are.
func (fs *Fields) Len() int { return len(fs.All) }

// From so many questions for a name among so many fields on, there is an index: for fewer it costs more than it saves.
const (
	manyAsked  = 8
	manyFields = 32
)

// find is the place of a field, -1 if it is not there.
func (fs *Fields) find(name []byte) int {
	if fs.asked++; fs.places == nil && fs.asked > manyAsked && len(fs.All) > manyFields {
		fs.places = make(map[string]int, len(fs.All))
		for i, f := range fs.All {
			fs.places[string(f.Name)] = i
		}
	}
	if fs.places == nil {
		return slices.IndexFunc(fs.All, func(f Field) bool { return bytes.Equal(f.Name, name) })
	}
	if i, ok := fs.places[string(name)]; ok {
		return i
	}
	return -1
}

// Get returns the value of a field.
func (fs *Fields) Get(name []byte) (value []byte, ok bool) {
	if i := fs.find(name); i >= 0 {
		return fs.All[i].Value, true
	}
	return nil, false
}

// Set sets a field, and tells whether it is new.
func (fs *Fields) Set(name, value []byte) (added bool) {
	if i := fs.find(name); i >= 0 {
		fs.All[i].Value = value
		return false
	}
	if fs.places != nil {
		fs.places[string(name)] = len(fs.All)
	}
	fs.All = append(fs.All, Field{name, value})
	return true
}

// Delete takes fields away, and counts those that were there.
func (fs *Fields) Delete(names ...[]byte) (n int) {
	gone := make(map[int]bool, len(names))
	for _, name := range names {
		if i := fs.find(name); i >= 0 {
			gone[i] = true
		}
	}
	if len(gone) == 0 {
		return 0
	}
	kept := fs.All[:0]
	for i, f := range fs.All {
		if !gone[i] {
			kept = append(kept, f)
		}
	}
	fs.All, fs.places = kept, nil
	return len(gone)
}
