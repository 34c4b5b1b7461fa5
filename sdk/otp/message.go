package otp

import (
	"encoding"
	"fmt"
	"reflect"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/theseusd/theseus/sdk/state"
)

// Message gives a type of messages the name under which it travels to another version: where its own name is not to be
// it, and for what only OnInfo handles. Types that have a handler are known by their own names. The shape of a name must
// stay the same in all versions: a message that changes gets another name, beside the old one.
func Message[M, S any](b *Behaviour[S], name string) { b.of().knows(messageOf[M](name), true) }

// message is a type of messages of a behaviour, as it travels.
type message struct {
	name   string
	typ    reflect.Type
	decode func([]byte) (any, error)
}

func messageOf[M any](name string) message {
	t := reflect.TypeFor[M]()
	if name == "" {
		name = typeName(t)
	}
	return message{name, t, func(b []byte) (any, error) { return state.Decode[M](b) }}
}

// typeName is the name of a type without its package.
func typeName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// knows notes a type; the name that its author gave it stays.
func (k *kind) knows(m message, given bool) {
	if k.messages == nil {
		k.messages = map[reflect.Type]message{}
	}
	if _, there := k.messages[m.typ]; !there || given {
		k.messages[m.typ] = m
	}
}

// named lists the messages by their names. What could not travel is an error.
func (k *kind) named() (map[string]message, error) {
	list := map[string]message{}
	for t, m := range k.messages {
		switch other, twice := list[m.name]; {
		case m.name == "":
			return nil, fmt.Errorf("the message %s has no name: give it one with otp.Message", t)
		case twice:
			return nil, fmt.Errorf("the messages %s and %s are both called %s: give one another name with otp.Message", t, other.typ, m.name)
		}
		if err := portable(t, nil); err != nil {
			return nil, fmt.Errorf("the message %s cannot wait for another version: %w", t, err)
		}
		list[m.name] = m
	}
	return list, nil
}

// portable refuses types of which something would be lost.
func portable(t reflect.Type, outer []reflect.Type) error {
	for _, o := range outer {
		if o == t {
			return nil
		}
	}
	outer = append(outer, t)
	if encodesItself(t) {
		return nil
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Uintptr, reflect.Complex64, reflect.Complex128:
		return fmt.Errorf("a %s cannot be encoded", t)
	case reflect.Interface:
		return fmt.Errorf("what a %s holds cannot be told from its encoding", t)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return portable(t.Elem(), outer)
	case reflect.Map:
		if err := portable(t.Key(), outer); err != nil {
			return err
		}
		return portable(t.Elem(), outer)
	case reflect.Struct:
		return portableFields(t, outer)
	}
	return nil
}

func portableFields(t reflect.Type, outer []reflect.Type) error {
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() && !f.Anonymous {
			return fmt.Errorf("the field %s of %s is not exported", f.Name, t)
		}
		if err := portable(f.Type, outer); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return nil
}

func encodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return t == reflect.TypeFor[time.Time]() || p.Implements(reflect.TypeFor[cbor.Marshaler]()) ||
		p.Implements(reflect.TypeFor[encoding.BinaryMarshaler]())
}

// letter is a message in a row.
type letter struct {
	Name     string   `cbor:"name"`
	Body     []byte   `cbor:"body,omitempty"`
	Counted  bool     `cbor:"counted,omitempty"`
	Deadline int64    `cbor:"deadline,omitempty"` // by the node's clock
	Reply    *address `cbor:"reply,omitempty"`
}

// Names of the messages that this package sends.
const (
	nameIdle   = "otp.Idle"
	nameDown   = "otp.Down"
	nameExited = "otp.Exited"
)

// Unknown is a message whose type this version does not know: it was sent in a newer one, from which the service has come
// back. OnInfo gets it; a caller gets ErrNoHandler. Unhandled it is lost, as any message that nobody handles.
type Unknown struct {
	Name string
	Body []byte // in the encoding of package state
}

// notice is a Down or an Exited in a row.
type notice struct {
	Ref    Ref   `cbor:"ref,omitempty"`
	PID    PID   `cbor:"pid,omitempty"`
	Reason *told `cbor:"reason,omitempty"`
}

// letter encodes the body of a message to a process of this kind.
func (k *kind) letter(body any) (letter, error) {
	var name string
	switch m := body.(type) {
	case Idle:
		return letter{Name: nameIdle}, nil
	case Down:
		name, body = nameDown, notice{m.Ref, m.PID, tell(m.Reason)}
	case Exited:
		name, body = nameExited, notice{0, m.PID, tell(m.Reason)}
	case Unknown:
		return letter{Name: m.Name, Body: m.Body}, nil
	default:
		known, ok := k.messages[reflect.TypeOf(body)]
		if !ok {
			return letter{}, fmt.Errorf("the behaviour %s does not know the message %T: add it with otp.Message", k.name, body)
		}
		name = known.name
	}
	b, err := state.Encode(body)
	if err != nil {
		return letter{}, fmt.Errorf("message %s: %w", name, err)
	}
	return letter{Name: name, Body: b}, nil
}

// open is the message of a letter.
func (l letter) open(names map[string]message) (any, error) {
	switch l.Name {
	case nameIdle:
		return Idle{}, nil
	case nameDown, nameExited:
		n, err := state.Decode[notice](l.Body)
		if l.Name == nameDown {
			return Down{n.Ref, n.PID, n.Reason.err()}, err
		}
		return Exited{n.PID, n.Reason.err()}, err
	}
	m, ok := names[l.Name]
	if !ok {
		return Unknown{l.Name, l.Body}, nil
	}
	return m.decode(l.Body)
}
