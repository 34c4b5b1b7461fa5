package state

import (
	"errors"
	"math"
	"slices"
)

// rests is what older versions of a row cannot hold, ascending. In the log it is a CBOR map from the version to bytes.
type rests []kept

type kept struct {
	version int // from which the step starts that made the rest
	rest    []byte
}

var errRests = errors.New("read what older versions left: it is no map from versions to bytes")

// readRests adds the rests in b to r. They are not copied, and none can grow into another.
func readRests(r rests, b []byte) (rests, error) {
	if len(b) == 0 {
		return r, nil
	}
	major, count, n := head(b)
	if n == 0 || major != majorMap {
		return nil, errRests
	}
	for b = b[n:]; count > 0; count-- {
		k, size := readKept(b)
		if size == 0 || len(r) > 0 && k.version <= r[len(r)-1].version {
			return nil, errRests
		}
		r, b = append(r, k), b[size:]
	}
	if len(b) > 0 {
		return nil, errRests
	}
	return r, nil
}

// readKept reads one rest; size = 0 if there is none.
func readKept(b []byte) (k kept, size int) {
	major, version, n := head(b)
	if n == 0 || major != majorUint || version > math.MaxUint16 {
		return k, 0
	}
	major, length, m := head(b[n:])
	if m == 0 || major != majorBytes || length > uint64(len(b)-n-m) {
		return k, 0
	}
	size = n + m + int(length)
	return kept{version: int(version), rest: b[n+m : size : size]}, size
}

func (r rests) find(version int) (int, bool) {
	return slices.BinarySearchFunc(r, version, func(k kept, v int) int { return k.version - v })
}

// take returns the rest of a version, nil if there is none, and what is left without it.
func (r rests) take(version int) (rest []byte, left rests) {
	i, ok := r.find(version)
	if !ok {
		return nil, r
	}
	rest = r[i].rest
	return rest, slices.Delete(r, i, i+1)
}

// keep sets the rest of a version; nil is none.
func (r rests) keep(version int, rest []byte) rests {
	i, ok := r.find(version)
	switch {
	case rest == nil:
		_, r = r.take(version)
	case ok:
		r[i].rest = rest
	default:
		r = slices.Insert(r, i, kept{version, rest})
	}
	return r
}

// bytes is what is written; nil if there are no rests.
func (r rests) bytes() []byte {
	if len(r) == 0 {
		return nil
	}
	size := maxHead
	for _, k := range r {
		size += 2*maxHead + len(k.rest)
	}
	b := appendHead(make([]byte, 0, size), majorMap, uint64(len(r)))
	for _, k := range r {
		b = appendHead(b, majorUint, uint64(k.version))
		b = append(appendHead(b, majorBytes, uint64(len(k.rest))), k.rest...)
	}
	return b
}
