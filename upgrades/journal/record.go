package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

const (
	headerSize = 16

	// MaxPayload is the size in bytes of the largest payload.
	MaxPayload = 1 << 20

	// baseBit in the length of a record makes it a base. No other record is so long.
	baseBit = 1 << 31
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Record is one entry of the journal.
type Record struct {
	Seq     uint64 // without gaps; from 1, or from the base on
	Payload []byte // never empty
	Base    bool   // stands for all records up to its number; only the first one of a journal may
}

// CorruptError says where a journal cannot be read, and why.
type CorruptError struct {
	File   string
	Offset int64 // in bytes, of the record that is bad
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal: %s is corrupt at offset %d: %s", e.File, e.Offset, e.Reason)
}

// encode appends the bytes of r to b.
func encode(b []byte, r Record) []byte {
	start := len(b)
	size := uint32(len(r.Payload))
	if r.Base {
		size |= baseBit
	}
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, r.Seq)
	b = append(b, r.Payload...)
	binary.LittleEndian.PutUint32(b[start+4:], checksum(b[start:]))
	return b
}

// checksum covers a whole record but for the checksum itself.
func checksum(record []byte) uint32 {
	return crc32.Update(crc32.Checksum(record[:4], castagnoli), castagnoli, record[8:])
}

// decodeFirst reads the record that a journal begins with: number 1, or a base of any number.
func decodeFirst(b []byte) (r Record, size int, wrong string) {
	if len(b) < headerSize || binary.LittleEndian.Uint32(b)&baseBit == 0 {
		return decode(b, 1)
	}
	n := int64(binary.LittleEndian.Uint32(b) &^ baseBit)
	if n == 0 || n > MaxBase || int64(len(b)) < headerSize+n {
		return r, 0, fmt.Sprintf("a base of %d bytes is not possible", n)
	}
	size = headerSize + int(n)
	seq := binary.LittleEndian.Uint64(b[8:])
	if binary.LittleEndian.Uint32(b[4:]) != checksum(b[:size]) || seq == 0 {
		return r, 0, "the checksum of the base does not match"
	}
	return Record{Seq: seq, Payload: b[headerSize:size:size], Base: true}, size, ""
}

// decode reads the record at the start of b, and says what is wrong if none with that seq is there.
func decode(b []byte, seq uint64) (r Record, size int, wrong string) {
	if len(b) < headerSize {
		return r, 0, "the record's header is cut short"
	}
	n := int64(binary.LittleEndian.Uint32(b))
	if n == 0 || n > MaxPayload {
		return r, 0, fmt.Sprintf("a length of %d is not possible", n)
	}
	if int64(len(b)) < headerSize+n {
		return r, 0, fmt.Sprintf("the record of %d bytes is cut short", n)
	}
	size = headerSize + int(n)
	if binary.LittleEndian.Uint32(b[4:]) != checksum(b[:size]) {
		return r, 0, "the checksum does not match"
	}
	if got := binary.LittleEndian.Uint64(b[8:]); got != seq {
		return r, 0, fmt.Sprintf("the record has number %d, not %d", got, seq)
	}
	return Record{Seq: seq, Payload: b[headerSize:size:size]}, size, ""
}
