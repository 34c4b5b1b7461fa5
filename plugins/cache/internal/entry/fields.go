package entry

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Field of a hash.
type Field struct{ Name, Value []byte }

// Fields of a hash in the order in which they were first set. They are one payload: each change writes all of them.
type Fields []Field

// ParseFields reads the payload of a hash; the fields lie in it.
func ParseFields(payload []byte) (fs Fields, err error) {
	r := reader{rest: payload}
	n := r.number()
	if n > uint64(len(payload)) {
		return nil, ErrRow
	}
	fs = make(Fields, 0, n)
	for range n {
		fs = append(fs, Field{r.bytes(), r.bytes()})
	}
	if r.bad || len(r.rest) > 0 {
		return nil, ErrRow
	}
	return fs, nil
}

// Payload is the other way.
func (fs Fields) Payload() []byte {
	size := binary.MaxVarintLen32
	for _, f := range fs {
		size += 2*binary.MaxVarintLen32 + len(f.Name) + len(f.Value)
	}
	b := binary.AppendUvarint(make([]byte, 0, size), uint64(len(fs)))
	for _, f := range fs {
		b = append(binary.AppendUvarint(b, uint64(len(f.Name))), f.Name...)
		b = append(binary.AppendUvarint(b, uint64(len(f.Value))), f.Value...)
	}
	return b
}

func (fs Fields) find(name []byte) int {
	return slices.IndexFunc(fs, func(f Field) bool { return bytes.Equal(f.Name, name) })
}

// Get returns the value of a field.
func (fs Fields) Get(name []byte) (value []byte, ok bool) {
	if i := fs.find(name); i >= 0 {
		return fs[i].Value, true
	}
	return nil, false
}

// Set sets a field, and tells whether it is new.
func (fs *Fields) Set(name, value []byte) (added bool) {
	if i := fs.find(name); i >= 0 {
		(*fs)[i].Value = value
		return false
	}
	*fs = append(*fs, Field{name, value})
	return true
}

// Delete takes a field away, and tells whether it was there.
func (fs *Fields) Delete(name []byte) bool {
	i := fs.find(name)
	if i >= 0 {
		*fs = slices.Delete(*fs, i, i+1)
	}
	return i >= 0
}
