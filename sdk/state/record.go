package state

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A record is one version of one row, as it lies in the log:
//
//	0    4    8        16   18    19    20   24    28      29   32
//	┌────┬────┬────────┬────┬─────┬─────┬────┬─────┬───────┬────┬──────┬─────┬───────┬──────┐
//	│size│crc │expiry  │vers│flags│table│key │rest │shadows│ 0  │table │ key │ value │ rest │ to 8
//	└────┴────┴────────┴────┴─────┴─────┴────┴─────┴───────┴────┴──────┴─────┴───────┴──────┘
//
// The checksum covers all that follows it. Expiry is in ms since 1970, 0 = never. The shadows are records of the same
// row in older shapes that follow immediately and were committed by the same stroke.
type record []byte

const (
	recordHeader = 32

	flagDelete = 1 << 0
	flagShadow = 1 << 1
)

// Limits of one row.
const (
	MaxKey = 1 << 20 // bytes
	MaxRow = 1 << 29 // bytes: key, value and what older shapes cannot hold together
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (r record) size() uint64     { return uint64(binary.LittleEndian.Uint32(r)) }
func (r record) sum() uint32      { return binary.LittleEndian.Uint32(r[4:]) }
func (r record) expiry() uint64   { return binary.LittleEndian.Uint64(r[8:]) }
func (r record) version() int     { return int(binary.LittleEndian.Uint16(r[16:])) }
func (r record) nameLen() int     { return int(r[19]) }
func (r record) keyLen() int      { return int(binary.LittleEndian.Uint32(r[20:])) }
func (r record) restLen() int     { return int(binary.LittleEndian.Uint32(r[24:])) }
func (r record) shadows() int     { return int(r[28]) }
func (r record) deleted() bool    { return r[18]&flagDelete != 0 }
func (r record) shadow() bool     { return r[18]&flagShadow != 0 }
func (r record) table() []byte    { return r[recordHeader : recordHeader+r.nameLen()] }
func (r record) stride() uint64   { return align8(r.size()) }
func (r record) mortal() bool     { return r.expiry() != 0 }
func (r record) body() []byte     { return r[recordHeader+r.nameLen()+r.keyLen() : r.size()] }
func (r record) value() []byte    { b := r.body(); return b[:len(b)-r.restLen()] }
func (r record) rest() []byte     { b := r.body(); return b[len(b)-r.restLen():] }
func (r record) computed() uint32 { return crc32.Checksum(r[8:r.size()], castagnoli) }

func (r record) key() []byte {
	from := recordHeader + r.nameLen()
	return r[from : from+r.keyLen()]
}

// is tells whether r belongs to key; the comparison does not allocate.
func (r record) is(key string) bool {
	return r.keyLen() == len(key) && string(r.key()) == key
}

// expired tells whether the row has come to its end at now, in ms since 1970.
func (r record) expired(now func() uint64) bool {
	e := r.expiry()
	return e != 0 && e <= now()
}

func align8(n uint64) uint64 { return (n + 7) &^ 7 }

// row is a record before it is written.
type row struct {
	table, key  string
	value, rest []byte
	expiry      uint64
	version     int
	flags       byte
	shadows     byte
}

func (r row) size() int { return recordHeader + len(r.table) + len(r.key) + len(r.value) + len(r.rest) }

// append adds the record of r to b, whose length is a multiple of 8, as it stays.
func (r row) append(b []byte) []byte {
	from := len(b)
	b = append(b, make([]byte, recordHeader)...)
	h := b[from:]
	binary.LittleEndian.PutUint32(h, uint32(r.size()))
	binary.LittleEndian.PutUint64(h[8:], r.expiry)
	binary.LittleEndian.PutUint16(h[16:], uint16(r.version))
	h[18], h[19], h[28] = r.flags, byte(len(r.table)), r.shadows
	binary.LittleEndian.PutUint32(h[20:], uint32(len(r.key)))
	binary.LittleEndian.PutUint32(h[24:], uint32(len(r.rest)))
	b = append(b, r.table...)
	b = append(b, r.key...)
	b = append(b, r.value...)
	b = append(b, r.rest...)
	rec := record(b[from:])
	binary.LittleEndian.PutUint32(rec[4:], rec.computed())
	var zero [8]byte
	return append(b, zero[:align8(uint64(len(rec)))-uint64(len(rec))]...)
}

// parse finds the record at the beginning of b. A reason that is not empty says why there is none.
func parse(b []byte) (record, string) {
	if len(b) < recordHeader {
		return nil, fmt.Sprintf("%d bytes are too few for a record", len(b))
	}
	r := record(b)
	if reason := r.misfit(uint64(len(b))); reason != "" {
		return nil, reason
	}
	r = r[:r.size():r.size()]
	if got, want := r.computed(), r.sum(); got != want {
		return nil, fmt.Sprintf("checksum is %08x, the record says %08x", got, want)
	}
	return r, ""
}

// misfit says why the lengths in the header cannot be, within room bytes.
func (r record) misfit(room uint64) string {
	size := r.size()
	parts := recordHeader + uint64(r.nameLen()) + uint64(r.keyLen()) + uint64(r.restLen())
	switch {
	case size < recordHeader:
		return fmt.Sprintf("a record of %d bytes", size)
	case align8(size) > room:
		return fmt.Sprintf("a record of %d bytes where %d are left", size, room)
	case parts > size:
		return fmt.Sprintf("a record of %d bytes with parts of %d", size, parts)
	}
	return ""
}

// group is a record and its shadows, which are there together or not at all.
type group struct {
	main   record
	stride uint64 // bytes up to the next group
}

// parseGroup finds the group at the beginning of b.
func parseGroup(b []byte) (group, string) {
	main, reason := parse(b)
	if reason != "" {
		return group{}, reason
	}
	if main.shadow() {
		return group{}, "a shadow without its row"
	}
	g := group{main: main, stride: main.stride()}
	for range main.shadows() {
		r, reason := parse(b[g.stride:])
		if reason == "" {
			reason = r.strange(main)
		}
		if reason != "" {
			return group{}, "shadow: " + reason
		}
		g.stride += r.stride()
	}
	return g, ""
}

// strange says why r cannot be a shadow of main.
func (r record) strange(main record) string {
	if !r.shadow() || r.shadows() != 0 || string(r.table()) != string(main.table()) || string(r.key()) != string(main.key()) {
		return "belongs to another row"
	}
	return ""
}

// pick returns the record of the group at the beginning of b that a reader of version can use, and its distance from
// the beginning. A newer row without a fitting shadow is returned as it is.
func (g group) pick(b []byte, version int) (record, uint64) {
	if g.main.version() <= version || g.main.deleted() {
		return g.main, 0
	}
	from := g.main.stride()
	for range g.main.shadows() {
		r := record(b[from:])
		r = r[:r.size():r.size()]
		if r.version() == version {
			return r, from
		}
		from += r.stride()
	}
	return g.main, 0
}
