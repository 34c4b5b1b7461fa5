package state

import (
	"fmt"
	"math"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// codec turns rows of one type into bytes and back. Bytes are themselves; all else is CBOR in the deterministic core
// encoding with the names of fields as keys, so equal rows are equal bytes. Times are text in UTC to the nanosecond;
// the zero time is null.
var (
	encoder = must(encodeOptions().EncMode())
	decoder = must(decodeOptions().DecMode())
)

func encodeOptions() cbor.EncOptions {
	o := cbor.CoreDetEncOptions()
	o.Time = cbor.TimeRFC3339NanoUTC
	return o
}

func decodeOptions() cbor.DecOptions {
	return cbor.DecOptions{MaxArrayElements: math.MaxInt32, MaxMapPairs: math.MaxInt32, MaxNestedLevels: 256}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("state: %v", err))
	}
	return v
}

var bytesType = reflect.TypeFor[[]byte]()

// encode returns the bytes of a row. Bytes are not copied.
func encode[V any](v V) ([]byte, error) {
	boxed := any(v) // once: it allocates
	if b, ok := boxed.([]byte); ok {
		return b, nil
	}
	b, err := encoder.Marshal(boxed)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return b, nil
}

// decode returns the row of b. Bytes are not copied.
func decode[V any](b []byte) (V, error) {
	var v V
	if p, ok := any(&v).(*[]byte); ok {
		*p = b
		return v, nil
	}
	if err := decoder.Unmarshal(b, &v); err != nil {
		return v, fmt.Errorf("decode %T: %w", v, err)
	}
	return v, nil
}

// Encode returns v as a row of its type is encoded. Together with Decode it is for those who keep values of many types
// in one table.
func Encode(v any) ([]byte, error) { return encode(v) }

// Decode is the other way; fields that are missing are zero, and fields that V does not have are left out.
func Decode[V any](b []byte) (V, error) { return decode[V](b) }

// Shape is the canonical text of a type, as the description of a table has it: two types with the same shape have the
// same encoding.
func Shape(t reflect.Type) string { return shapeOf(t).text }
