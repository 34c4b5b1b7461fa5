package grpc

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"sync"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// answer is what a method has answered, and by what its handler reaches the headers of that.
type answer struct {
	path    string
	message []byte         // with its prefix
	status  *status.Status // nil: it is well

	mu              sync.Mutex // a handler may leave goroutines behind
	header, trailer metadata.MD
	begun, ended    bool // it is too late for headers, for trailers
}

var _ gogrpc.ServerTransportStream = (*answer)(nil)

var errLate = errors.New("serve/grpc: it is answered already")

// Method is the name of the method, in full.
func (a *answer) Method() string { return a.path }

// SetHeader adds to the headers.
func (a *answer) SetHeader(md metadata.MD) error { return a.add(&a.header, &a.begun, md) }

// SendHeader is SetHeader for the last time; the headers go with the answer.
func (a *answer) SendHeader(md metadata.MD) error {
	err := a.SetHeader(md)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun = true
	return err
}

// SetTrailer adds to the trailers.
func (a *answer) SetTrailer(md metadata.MD) error { return a.add(&a.trailer, &a.ended, md) }

// add adds to headers or trailers unless it is too late for them.
func (a *answer) add(to *metadata.MD, late *bool, md metadata.MD) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if *late {
		return errLate
	}
	*to = metadata.Join(*to, md)
	return nil
}

// end is after the handler.
func (a *answer) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun, a.ended = true, true
}

// The blocks of most answers are the same; they are never put into a table.
var (
	okHeaders  = block(":status", "200", "content-type", "application/grpc")
	okTrailers = block("grpc-status", "0")
	notGRPC    = block(":status", "415")
)

// headers is the first block, and trailers the last one; whether there is a message between them says the status.
func (a *answer) headers() []byte {
	if len(a.header) == 0 {
		return okHeaders
	}
	return append(okHeaders[:len(okHeaders):len(okHeaders)], block(fields(a.header)...)...)
}

func (a *answer) trailers() []byte {
	switch {
	case a.status != nil:
		return append(failure(a.status), block(fields(a.trailer)...)...)
	case len(a.trailer) == 0:
		return okTrailers
	}
	return append(okTrailers[:len(okTrailers):len(okTrailers)], block(fields(a.trailer)...)...)
}

// addTo adds an answer without a message; without headers of its own it is one block.
func (a *answer) addTo(b []byte, id uint32) []byte {
	if len(a.header) == 0 {
		return addBlock(b, id, flagEndStream, append(okHeaders[:len(okHeaders):len(okHeaders)], a.trailers()...))
	}
	return addBlock(addBlock(b, id, 0, a.headers()), id, flagEndStream, a.trailers())
}

// addFailure is an answer that is a status alone.
func addFailure(b []byte, id uint32, st *status.Status) []byte {
	return (&answer{status: st}).addTo(b, id)
}

// failure is the trailers of a status, with its details if it has any.
func failure(st *status.Status) []byte {
	pairs := []string{"grpc-status", strconv.Itoa(int(st.Code())), "grpc-message", percent(st.Message())}
	if p := st.Proto(); len(p.GetDetails()) > 0 {
		if details, err := proto.Marshal(p); err == nil {
			pairs = append(pairs, "grpc-status-details-bin", base64.RawStdEncoding.EncodeToString(details))
		}
	}
	return block(pairs...)
}

// fields is metadata as it travels. Names of the protocol are left out.
func fields(md metadata.MD) (pairs []string) {
	for name, list := range md {
		name = strings.ToLower(name)
		if isReserved(name) {
			continue
		}
		for _, value := range list {
			if strings.HasSuffix(name, binarySuffix) {
				value = base64.RawStdEncoding.EncodeToString([]byte(value))
			}
			pairs = append(pairs, name, value)
		}
	}
	return pairs
}

// ours says whether the status is the service's own fault and not the client's.
func (a *answer) ours() bool {
	switch a.status.Code() {
	case codes.Internal, codes.Unknown, codes.Unavailable, codes.DataLoss:
		return true
	}
	return false
}
