// Package wstest reads what a WebSocket server sends, for tests that play its client.
package wstest

import (
	"fmt"
	"io"

	"github.com/gobwas/ws"
)

// Limit is the longest payload that ReadFrame takes, in bytes.
const Limit = 16 << 20

// ReadFrame reads one frame. It fails if its payload is longer than Limit.
func ReadFrame(r io.Reader) (ws.Frame, error) {
	h, err := ws.ReadHeader(r)
	if err != nil {
		return ws.Frame{}, err
	}
	if h.Length > Limit {
		return ws.Frame{}, fmt.Errorf("wstest: a frame of %d bytes, at most %d are read", h.Length, Limit)
	}
	f := ws.Frame{Header: h, Payload: make([]byte, h.Length)}
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}
