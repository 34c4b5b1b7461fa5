package state

import (
	"bytes"
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// The first three bits of an encoded value.
const (
	majorUint   = 0
	majorNegInt = 1
	majorBytes  = 2
	majorText   = 3
	majorArray  = 4
	majorMap    = 5
	majorOther  = 7
)

const (
	maxHead  = 9  // bytes before an encoded value
	maxPlain = 32 // levels within a value
)

// head reads what stands before an encoded value; n = 0 if it is not the shortest form, or of no use here.
func head(b []byte) (major byte, arg uint64, n int) {
	if len(b) == 0 {
		return 0, 0, 0
	}
	major, low := b[0]>>5, b[0]&31
	if low < 24 {
		return major, uint64(low), 1
	}
	size := 1 << (low - 24)
	if low > 27 || len(b) <= size {
		return 0, 0, 0
	}
	least := uint64(24)
	switch size {
	case 1:
		arg = uint64(b[1])
	case 2:
		arg, least = uint64(binary.BigEndian.Uint16(b[1:])), 1<<8
	case 4:
		arg, least = uint64(binary.BigEndian.Uint32(b[1:])), 1<<16
	default:
		arg, least = binary.BigEndian.Uint64(b[1:]), 1<<32
	}
	if arg < least && major != majorOther {
		return 0, 0, 0
	}
	return major, arg, 1 + size
}

// appendHead adds what stands before an encoded value to b.
func appendHead(b []byte, major byte, arg uint64) []byte {
	major <<= 5
	switch {
	case arg < 24:
		return append(b, major|byte(arg))
	case arg <= math.MaxUint8:
		return append(b, major|24, byte(arg))
	case arg <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(arg))
	case arg <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), arg)
}

// plainSize is the length of the encoded value at the beginning of b; 0 if it has tags, lengths that are not told
// ahead, or anything else that needs a real decoder.
func plainSize(b []byte, levels int) int {
	major, arg, n := head(b)
	if n == 0 || levels == 0 || arg > uint64(len(b)) && major >= majorBytes && major <= majorMap {
		return 0
	}
	switch major {
	case majorUint, majorNegInt:
		return n
	case majorBytes, majorText:
		if uint64(len(b)-n) < arg {
			return 0
		}
		return n + int(arg)
	case majorMap:
		arg *= 2
	case majorArray:
	case majorOther:
		if low := b[0] & 31; low >= 20 && low <= 22 || low >= 25 { // false, true, null; floats
			return n
		}
		return 0
	default:
		return 0
	}
	for range arg {
		size := plainSize(b[n:], levels-1)
		if size == 0 {
			return 0
		}
		n += size
	}
	return n
}

// skim goes over the fields of an encoded row, which it does not decode. It goes only over what the encoder makes of a
// map: each head in its shortest form, the names ascending.
type skim struct {
	plain bool   // so far
	key   []byte // the name of the field at hand, encoded; nil behind the last one
	field []byte // its name and value
	next  []byte
	left  uint64
}

func skimOf(row []byte) skim {
	major, fields, n := head(row)
	w := skim{plain: n > 0 && major == majorMap, next: row[n:], left: fields}
	w.step()
	return w
}

// step goes to the next field.
func (w *skim) step() {
	if !w.plain || w.left == 0 {
		w.plain, w.key, w.field = w.plain && len(w.next) == 0, nil, nil
		return
	}
	w.left--
	major, length, n := head(w.next)
	if n == 0 || major != majorText || length > uint64(len(w.next)-n) {
		w.plain = false
		return
	}
	end := n + int(length)
	key := w.next[:end]
	size := plainSize(w.next[end:], maxPlain)
	if size == 0 || bytes.Compare(w.key, key) >= 0 || !utf8.Valid(key[n:]) {
		w.plain = false
		return
	}
	w.key, w.field, w.next = key, w.next[:end+size], w.next[end+size:]
}

// compare tells which of two fields stands first in a row; the end stands behind all.
func (w *skim) compare(o *skim) int {
	switch {
	case w.key == nil:
		return 1
	case o.key == nil:
		return -1
	}
	return bytes.Compare(w.key, o.key)
}

// splice is a row with the fields of another that it lacks; not ok if one of them is not plain.
func splice(row, lacks []byte) (both []byte, ok bool) {
	r, l := skimOf(row), skimOf(lacks)
	out, n := make([]byte, maxHead, maxHead+len(row)+len(lacks)), 0
	for ; r.plain && l.plain && (r.key != nil || l.key != nil); n++ {
		order := r.compare(&l)
		if order <= 0 {
			out = append(out, r.field...)
			r.step()
		} else {
			out = append(out, l.field...)
		}
		if order >= 0 {
			l.step()
		}
	}
	return asMap(out, n), r.plain && l.plain
}

// part is the fields of a row that another has not, and those that it has; not ok if one of them is not plain.
func part(row, other []byte) (left, taken []byte, ok bool) {
	r, o := skimOf(row), skimOf(other)
	left, taken = make([]byte, maxHead, maxHead+len(row)), make([]byte, maxHead, maxHead+len(other))
	kept, gone := 0, 0
	for r.plain && o.plain && r.key != nil {
		switch order := r.compare(&o); {
		case order < 0:
			left, kept = append(left, r.field...), kept+1
			r.step()
		case order > 0:
			o.step()
		default:
			taken, gone = append(taken, r.field...), gone+1
			r.step()
		}
	}
	return asMap(left, kept), asMap(taken, gone), r.plain && o.plain
}

// asMap puts the head of a map before its n fields, for which there is room at the beginning of b.
func asMap(b []byte, n int) []byte {
	var buf [maxHead]byte
	h := appendHead(buf[:0], majorMap, uint64(n))
	copy(b[maxHead-len(h):], h)
	return b[maxHead-len(h):]
}
