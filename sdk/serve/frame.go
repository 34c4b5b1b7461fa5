package serve

import (
	"encoding/binary"
	"fmt"
)

// The pair's language: frames of [kind u8][length u32][payload], little endian, on a unix stream socket. Descriptors
// come with the first byte of the frame that names them, in its order.
type kind uint8

const (
	kindHello   kind = iota + 1 // protocol u16, serving u8; the listening side's carries the word's descriptor
	kindAhead                   // connections: count u16, then for each: id u64, listener name; and their descriptors
	kindGone                    // id u64: the connection has ended, drop its duplicate
	kindSession                 // id u64, bytes that replace the session
	kindBegin                   // last words follow; those of an earlier time are void
	kindUnread                  // id u64, bytes to be added
	kindUnsent                  // id u64, bytes to be added
	kindEnd                     // all connections are yours
	kindSync                    // please answer
	kindSynced                  // the answer
	kindBye                     // I leave in order: what I serve is mine, what you serve is yours
)

const (
	protocol  = 1
	headerLen = 5
	maxFrame  = 64 << 10     // payload
	maxChunk  = maxFrame - 8 // of unread and unsent bytes
	maxBatch  = 250          // descriptors in a message; the kernel's limit is 253
	maxName   = 200          // of a listener: a full batch fits into a frame
)

// A frame as it came; the payload is valid until the next call of next.
type frame struct {
	kind    kind
	payload []byte
}

// A decoder takes bytes in pieces of any size and gives frames.
type decoder struct {
	buf []byte
	at  int
}

// feed adds bytes.
func (d *decoder) feed(b []byte) {
	d.buf = append(d.buf[:copy(d.buf, d.buf[d.at:])], b...)
	d.at = 0
}

// next returns the next whole frame; false if it is not there yet. Bad bytes are ErrProtocol, for good.
func (d *decoder) next() (frame, bool, error) {
	b := d.buf[d.at:]
	if len(b) < headerLen {
		return frame{}, false, nil
	}
	n := binary.LittleEndian.Uint32(b[1:])
	k := kind(b[0])
	if k < kindHello || k > kindBye || n > maxFrame {
		return frame{}, false, fmt.Errorf("%w: frame of kind %d, %d bytes", ErrProtocol, k, n)
	}
	if len(b) < headerLen+int(n) {
		return frame{}, false, nil
	}
	d.at += headerLen + int(n)
	return frame{kind: k, payload: b[headerLen : headerLen+int(n)]}, true, nil
}

// appendFrame adds a frame to b; the payload is the parts in a row.
func appendFrame(b []byte, k kind, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b = binary.LittleEndian.AppendUint32(append(b, byte(k)), uint32(n))
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func idBytes(id uint64) []byte { return binary.LittleEndian.AppendUint64(nil, id) }

// appendChunks adds as many frames as data needs.
func appendChunks(b []byte, k kind, id uint64, data []byte) []byte {
	for len(data) > 0 {
		n := min(len(data), maxChunk)
		b = appendFrame(b, k, idBytes(id), data[:n])
		data = data[n:]
	}
	return b
}

// withID splits the payload of a frame about one connection.
func (f frame) withID() (id uint64, rest []byte, err error) {
	if len(f.payload) < 8 {
		return 0, nil, f.bad()
	}
	return binary.LittleEndian.Uint64(f.payload), f.payload[8:], nil
}

func (f frame) bad() error {
	return fmt.Errorf("%w: a frame of kind %d with %d bytes", ErrProtocol, f.kind, len(f.payload))
}

// arrival is a connection as a frame names it.
type arrival struct {
	id   uint64
	name string
}

func appendArrivals(b []byte, as []arrival) []byte {
	p := binary.LittleEndian.AppendUint16(nil, uint16(len(as)))
	for _, a := range as {
		p = binary.LittleEndian.AppendUint64(p, a.id)
		p = append(append(p, byte(len(a.name))), a.name...)
	}
	return appendFrame(b, kindAhead, p)
}

func (f frame) arrivals() ([]arrival, error) {
	b := f.payload
	if len(b) < 2 {
		return nil, f.bad()
	}
	n := int(binary.LittleEndian.Uint16(b))
	b = b[2:]
	if n > maxBatch {
		return nil, f.bad()
	}
	as := make([]arrival, 0, n)
	for range n {
		if len(b) < 9 || len(b) < 9+int(b[8]) {
			return nil, f.bad()
		}
		end := 9 + int(b[8])
		as = append(as, arrival{id: binary.LittleEndian.Uint64(b), name: string(b[9:end])})
		b = b[end:]
	}
	if len(b) != 0 {
		return nil, f.bad()
	}
	return as, nil
}

// greeting is the content of a hello.
type greeting struct {
	version uint16
	serving bool
}

func appendHello(b []byte, h greeting) []byte {
	p := binary.LittleEndian.AppendUint16(nil, h.version)
	s := byte(0)
	if h.serving {
		s = 1
	}
	return appendFrame(b, kindHello, append(p, s))
}

// hello reads a greeting; later versions may say more.
func (f frame) hello() (greeting, error) {
	if f.kind != kindHello || len(f.payload) < 3 {
		return greeting{}, f.bad()
	}
	h := greeting{version: binary.LittleEndian.Uint16(f.payload), serving: f.payload[2] == 1}
	if h.version != protocol {
		return h, fmt.Errorf("%w: it speaks version %d, this one %d", ErrProtocol, h.version, protocol)
	}
	return h, nil
}
