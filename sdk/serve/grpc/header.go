package grpc

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// headers is what a call says of itself, as it came.
type headers struct {
	path, timeout, kind, method string
	rest                        metadata.MD
	size                        int // as HTTP/2 counts it
}

// fieldSize is what a field counts beside its name and its value.
const fieldSize = 32

// add takes a field. More than allowed is counted, and not kept.
func (h *headers) add(name, value string) {
	if h.size += len(name) + len(value) + fieldSize; h.size > maxHeaders {
		return
	}
	switch name {
	case ":path":
		h.path = value
	case ":method":
		h.method = value
	case "content-type":
		h.kind = value
	case "grpc-timeout":
		h.timeout = value
	default:
		if isReserved(name) && name != ":authority" && name != "user-agent" {
			return
		}
		if h.rest == nil {
			h.rest = metadata.MD{}
		}
		h.rest.Append(name, value)
	}
}

// isReserved is true for the names of the protocol, which are no metadata.
func isReserved(name string) bool {
	switch name {
	case "content-type", "user-agent", "te", "grpc-message-type", "grpc-encoding", "grpc-accept-encoding", "grpc-message", "grpc-status",
		"grpc-status-details-bin", "grpc-timeout":
		return true
	}
	return strings.HasPrefix(name, ":")
}

// isCall says whether it is gRPC at all.
func (h headers) isCall() bool {
	return h.method == "POST" && (h.kind == "application/grpc" || strings.HasPrefix(h.kind, "application/grpc+") || strings.HasPrefix(h.kind, "application/grpc;"))
}

// context is that of the handler.
func (h headers) context(from net.Addr) (context.Context, context.CancelFunc, error) {
	md, err := h.metadata()
	if err != nil {
		return nil, nil, err
	}
	ctx := metadata.NewIncomingContext(peer.NewContext(context.Background(), &peer.Peer{Addr: from}), md)
	if h.timeout == "" {
		return ctx, func() {}, nil
	}
	d, err := timeoutOf(h.timeout)
	if err != nil {
		return nil, nil, status.Error(codes.Internal, err.Error())
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	return ctx, cancel, nil
}

// binarySuffix ends the names of values that are bytes; they travel in base64.
const binarySuffix = "-bin"

// metadata is the rest of the headers, with the bytes of binary ones.
func (h headers) metadata() (metadata.MD, error) {
	md := maps.Clone(h.rest)
	for name, list := range md {
		if !strings.HasSuffix(name, binarySuffix) {
			continue
		}
		md[name] = nil
		for _, text := range strings.Split(strings.Join(list, ","), ",") {
			b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
			if err != nil {
				return nil, status.Errorf(codes.Internal, "the metadata %.64q is no base64: %v", name, err)
			}
			md[name] = append(md[name], string(b))
		}
	}
	return md, nil
}

var units = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

// timeoutOf reads up to eight digits and a unit.
func timeoutOf(text string) (time.Duration, error) {
	n, digits := int64(0), len(text)-1
	bad := digits < 1 || digits > 8 || units[text[digits]] == 0
	for i := 0; i < digits && !bad; i++ {
		bad = text[i] < '0' || text[i] > '9'
		n = 10*n + int64(text[i]-'0')
	}
	if bad {
		return 0, fmt.Errorf("grpc-timeout: %.16q", text)
	}
	unit := units[text[digits]]
	return time.Duration(min(n, int64(1<<62/unit))) * unit, nil
}
