package state

import (
	"encoding"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// shape is the canonical text of a row type: what its encoding looks like, without the names that Go alone knows.
//
//	{user:string,count:int64,seen:time,tags:[string],by:map[string]{n:int},next:int64?}
//
// The fields stand as declared, under the names of the encoding; a question mark is a pointer, so null may be there.
type shape struct {
	text   string
	fields []field // of the outermost struct; nil if it is none
}

type field struct{ name, text string }

func (s shape) String() string { return s.text }

// without is the shape of the row before fields were added; "" if that cannot be told.
func (s shape) without(names map[string]any) shape {
	if s.fields == nil {
		return shape{}
	}
	var left []field
	for _, f := range s.fields {
		if _, gone := names[f.name]; !gone {
			left = append(left, f)
		}
	}
	return structShape(left)
}

func structShape(fields []field) shape {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = f.name + ":" + f.text
	}
	return shape{text: "{" + strings.Join(parts, ",") + "}", fields: append([]field{}, fields...)}
}

// shapeOf returns the shape of a row type.
func shapeOf(t reflect.Type) shape {
	w := walker{}
	if w.isPlainStruct(t) {
		w = append(w, t)
		return structShape(w.fields(t))
	}
	return shape{text: w.text(t)}
}

// walker is the types that are being described, from the outermost; a type within itself is named by its depth.
type walker []reflect.Type

var (
	timeType      = reflect.TypeFor[time.Time]()
	marshalerType = reflect.TypeFor[cbor.Marshaler]()
	binaryType    = reflect.TypeFor[encoding.BinaryMarshaler]()
)

func marshalsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(marshalerType) || p.Implements(binaryType)
}

func (w walker) isPlainStruct(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != timeType && !marshalsItself(t)
}

func (w walker) text(t reflect.Type) string {
	switch {
	case t == timeType:
		return "time"
	case t.Kind() != reflect.Pointer && t.Name() != "" && marshalsItself(t):
		return t.String()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return w.text(t.Elem()) + "?"
	case reflect.Interface:
		return "any"
	case reflect.Slice:
		return w.list(t, "")
	case reflect.Array:
		return w.list(t, strconv.Itoa(t.Len()))
	case reflect.Map:
		return "map[" + w.text(t.Key()) + "]" + w.text(t.Elem())
	case reflect.Struct:
		return w.structure(t)
	}
	return t.Kind().String()
}

func (w walker) list(t reflect.Type, length string) string {
	if t.Elem().Kind() == reflect.Uint8 {
		return "bytes" + length
	}
	return "[" + w.text(t.Elem()) + "]" + length
}

func (w walker) structure(t reflect.Type) string {
	for i, outer := range w {
		if outer == t {
			return "^" + strconv.Itoa(len(w)-i)
		}
	}
	inner := append(append(walker{}, w...), t)
	return structShape(inner.fields(t)).text
}

// fields lists what of a struct is encoded.
func (w walker) fields(t reflect.Type) []field {
	var list []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, tagged := encodedName(f)
		switch {
		case name == "-":
		case f.Anonymous && !tagged && embedded(f.Type).Kind() == reflect.Struct && w.isPlainStruct(embedded(f.Type)):
			list = append(list, w.fields(embedded(f.Type))...)
		case f.IsExported():
			list = append(list, field{name, w.text(f.Type)})
		}
	}
	return list
}

func embedded(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// encodedName is the key of a field in the encoding; "-" if it has none.
func encodedName(f reflect.StructField) (name string, tagged bool) {
	tag, ok := f.Tag.Lookup("cbor")
	if !ok {
		tag = f.Tag.Get("json")
	}
	if tag == "-" {
		return "-", true
	}
	name, _, _ = strings.Cut(tag, ",")
	if name == "" {
		return f.Name, false
	}
	return name, true
}
