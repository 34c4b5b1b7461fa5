package journal

import (
	"encoding/binary"
	"math"
)

// scan reads all records of a file. end is where the last good one ends: what is behind it is a torn tail, and the
// caller cuts it off. Any other damage is a *CorruptError.
func scan(file string, text []byte) (records []Record, end int64, err error) {
	off := 0
	for off < len(text) {
		r, size, wrong := next(text[off:], records)
		if wrong != "" {
			return tail(file, text, records, off, wrong)
		}
		records = append(records, r)
		off += size
	}
	return records, int64(off), nil
}

// next reads what follows the records that were read.
func next(b []byte, records []Record) (r Record, size int, wrong string) {
	if len(records) == 0 {
		return decodeFirst(b)
	}
	return decode(b, last(records)+1)
}

// last is the number of the last record, 0 if there is none.
func last(records []Record) uint64 {
	if len(records) == 0 {
		return 0
	}
	return records[len(records)-1].Seq
}

// tail judges what begins at off and is no good record: the one record that was being written, or damage.
func tail(file string, text []byte, records []Record, off int, wrong string) ([]Record, int64, error) {
	rest, last := text[off:], last(records)
	corrupt := func(reason string) ([]Record, int64, error) {
		return nil, 0, &CorruptError{File: file, Offset: int64(off), Reason: reason}
	}
	most := last + uint64(len(rest))
	if off == 0 {
		most = math.MaxUint64 // there was a base, perhaps
	}
	if p := findRecord(rest, last, most); p >= 0 {
		return corrupt(wrong + ", yet a good record follows")
	}
	if !torn(rest, last+1) {
		return corrupt(wrong + ", and this is not the start of a record that was being written")
	}
	return records, int64(off), nil
}

// findRecord returns the offset of the first good record in b with a number above last, up to most; -1 if there is none.
// It looks at every byte, since damage may have moved what follows.
func findRecord(b []byte, last, most uint64) int {
	for p := 0; p+headerSize < len(b); p++ {
		seq := binary.LittleEndian.Uint64(b[p+8:])
		if seq <= last || seq > most {
			continue // cheap, and true of nearly every byte
		}
		if _, _, wrong := decode(b[p:], seq); wrong == "" {
			return p
		}
	}
	return -1
}

// torn says whether b can be what a loss of power leaves of the record seq: no longer than a record, and its header
// either cut short or as it was to be, but for bytes that were not written yet and read as zero.
func torn(b []byte, seq uint64) bool {
	if len(b) > headerSize+MaxPayload {
		return false
	}
	if len(b) < headerSize {
		return true
	}
	if n := int(binary.LittleEndian.Uint32(b)); n > MaxPayload || n > 0 && len(b) > headerSize+n {
		return false
	}
	var want [8]byte
	binary.LittleEndian.PutUint64(want[:], seq)
	for i, got := range b[8:headerSize] {
		if got != want[i] && got != 0 {
			return false
		}
	}
	return true
}
