package state

import (
	"errors"
	"fmt"
	"reflect"
)

// AnyStep converts the rows of one version of a schema to the next version and back: a [Step] or an [Add].
type AnyStep interface {
	from() int
	types() (before, after reflect.Type) // nil where it does not know
	up(key string, before, rest []byte) ([]byte, error)
	down(key string, after []byte) (before, rest []byte, err error)
	lossy() bool
	shape(after shape) shape // of the rows before
	ready() (AnyStep, error) // what does the work
}

// Step converts rows by hand from the version From to From+1 (Up) and back (Down). What the older type cannot hold
// Down returns as rest: it is kept beside the row and given to Up when the row comes back, so that down and up is the
// identity. Rest is nil for a row that never was of the newer version.
//
// Both run while the row's part of the table is locked: they must not use the table, and should be quick. The bytes that
// they are given are their own.
type Step[Old, New any] struct {
	From  int
	Up    func(key string, old Old, rest []byte) (New, error)
	Down  func(key string, v New) (old Old, rest []byte, err error)
	Lossy bool // up and down may lose something of the older row, and that is meant
}

func (s Step[Old, New]) from() int   { return s.From }
func (s Step[Old, New]) lossy() bool { return s.Lossy }

func (s Step[Old, New]) types() (before, after reflect.Type) {
	return reflect.TypeFor[Old](), reflect.TypeFor[New]()
}

func (s Step[Old, New]) shape(shape) shape { return shapeOf(reflect.TypeFor[Old]()) }

func (s Step[Old, New]) ready() (AnyStep, error) {
	if s.Up == nil || s.Down == nil {
		return nil, errors.New("needs both Up and Down")
	}
	return s, nil
}

func (s Step[Old, New]) up(key string, before, rest []byte) ([]byte, error) {
	old, err := decode[Old](before)
	if err != nil {
		return nil, err
	}
	v, err := s.Up(key, old, rest)
	if err != nil {
		return nil, err
	}
	return encode(v)
}

func (s Step[Old, New]) down(key string, after []byte) (before, rest []byte, err error) {
	v, err := decode[New](after)
	if err != nil {
		return nil, nil, err
	}
	old, rest, err := s.Down(key, v)
	if err != nil {
		return nil, nil, err
	}
	before, err = encode(old)
	return before, rest, err
}

// steps leads from the oldest known version of a schema to its own.
type steps struct {
	version int // of the schema
	list    []AnyStep
}

// oldest is the oldest version that can be read.
func (s steps) oldest() int { return s.version - len(s.list) }

func (s steps) at(from int) AnyStep { return s.list[from-s.oldest()] }

// up converts a row of an older version to the schema's own. What remains of rests belongs to versions newer still.
func (s steps) up(key string, version int, value, rests []byte) ([]byte, []byte, error) {
	if version == s.version {
		return value, rests, nil
	}
	if version < s.oldest() || version > s.version {
		return nil, nil, fmt.Errorf("no step from version %d to %d", version, s.version)
	}
	var room [4]kept
	all, err := readRests(room[:0], rests)
	if err != nil {
		return nil, nil, err
	}
	for v := version; v < s.version; v++ {
		var rest []byte
		rest, all = all.take(v)
		if value, err = stepUp(s.at(v), key, value, rest); err != nil {
			return nil, nil, fmt.Errorf("up from version %d: %w", v, err)
		}
	}
	return value, all.bytes(), nil
}

// down converts a row of a version to an older one. The rests are added to those that the row had already.
func (s steps) down(key string, version, to int, value, rests []byte) ([]byte, []byte, error) {
	if to < s.oldest() || version > s.version {
		return nil, nil, fmt.Errorf("no step from version %d down to %d", version, to)
	}
	var room [4]kept
	all, err := readRests(room[:0], rests)
	if err != nil {
		return nil, nil, err
	}
	for v := version - 1; v >= to; v-- {
		var rest []byte
		if value, rest, err = stepDown(s.at(v), key, value); err != nil {
			return nil, nil, fmt.Errorf("down to version %d: %w", v, err)
		}
		all = all.keep(v, rest)
	}
	return value, all.bytes(), nil
}

// stepUp and stepDown take a panic of a step for its answer: it is the row that must not pass, not the process that
// must end.
func stepUp(s AnyStep, key string, value, rest []byte) (after []byte, err error) {
	defer panicked(&err)
	return s.up(key, value, rest)
}

func stepDown(s AnyStep, key string, value []byte) (before, rest []byte, err error) {
	defer panicked(&err)
	return s.down(key, value)
}

// panicked makes a panic an error, deferred.
func panicked(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}

// lossy tells whether a step from version on declares a loss.
func (s steps) lossy(version int) bool {
	for v := version; v < s.version; v++ {
		if s.at(v).lossy() {
			return true
		}
	}
	return false
}
