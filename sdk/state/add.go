package state

import (
	"fmt"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// Add is the step from the version From to From+1 that only adds fields. Up gives a row that lacks them the defaults;
// Down takes them away and keeps them, so a row that comes back has what it had. The names are those of the encoding:
// of the cbor or json tag, or of the field itself. The defaults are encoded once, when the table is made.
type Add struct {
	From   int
	Fields map[string]any // the name and the default of each
}

var _, _ AnyStep = Add{}, adder{}

func (a Add) from() int                           { return a.From }
func (a Add) lossy() bool                         { return false }
func (a Add) types() (before, after reflect.Type) { return nil, nil }
func (a Add) shape(after shape) shape             { return after.without(a.Fields) }

func (a Add) ready() (AnyStep, error) {
	if len(a.Fields) == 0 {
		return nil, fmt.Errorf("adds no fields")
	}
	defaults, err := encoder.Marshal(a.Fields)
	if err != nil {
		return nil, fmt.Errorf("a default cannot be encoded: %w", err)
	}
	return adder{Add: a, defaults: defaults}, nil
}

// adder does what its Add does, to the byte, in the encoding of a row: it moves fields and decodes none. Rows that are
// not as the encoder makes them are left to the Add.
type adder struct {
	Add
	defaults []byte // encoded
}

func (a adder) up(key string, before, rest []byte) ([]byte, error) {
	added := rest
	if rest == nil {
		added = a.defaults
	}
	if after, ok := splice(before, added); ok {
		return after, nil
	}
	return a.Add.up(key, before, rest)
}

func (a adder) down(key string, after []byte) (before, rest []byte, err error) {
	if before, rest, ok := part(after, a.defaults); ok {
		return before, rest, nil
	}
	return a.Add.down(key, after)
}

type fields map[string]cbor.RawMessage

func (a Add) up(_ string, before, rest []byte) ([]byte, error) {
	row, err := readFields(before)
	if err != nil {
		return nil, err
	}
	added, err := a.added(rest)
	if err != nil {
		return nil, err
	}
	for name, v := range added {
		if _, ok := row[name]; !ok {
			row[name] = v
		}
	}
	return encoder.Marshal(row)
}

// added is what Down has taken away, or the defaults if it never did.
func (a Add) added(rest []byte) (fields, error) {
	if rest != nil {
		return readFields(rest)
	}
	f := make(fields, len(a.Fields))
	for name, v := range a.Fields {
		b, err := encoder.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("default of %s: %w", name, err)
		}
		f[name] = b
	}
	return f, nil
}

func (a Add) down(_ string, after []byte) (before, rest []byte, err error) {
	row, err := readFields(after)
	if err != nil {
		return nil, nil, err
	}
	taken := fields{}
	for name := range a.Fields {
		if v, ok := row[name]; ok {
			taken[name] = v
			delete(row, name)
		}
	}
	if rest, err = encoder.Marshal(taken); err != nil {
		return nil, nil, err
	}
	before, err = encoder.Marshal(row)
	return before, rest, err
}

func readFields(b []byte) (fields, error) {
	f := fields{}
	if err := decoder.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("the row is no map of fields: %w", err)
	}
	return f, nil
}
