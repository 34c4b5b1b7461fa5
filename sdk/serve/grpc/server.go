package grpc

import (
	"context"
	"fmt"
	"strings"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/theseusd/theseus/sdk/serve"
)

// Bounds of one connection.
const (
	MaxMessage  = 1 << 20 // bytes of a request
	MaxStreams  = 256     // calls under way
	maxBuffered = 4 << 20 // bytes of requests that have come in part
	maxHeaders  = 64 << 10
)

// Server is the methods that are answered. Services are registered before the first connection is served.
type Server struct{ methods map[string]method }

type method struct {
	impl   any
	handle func(srv any, ctx context.Context, dec func(any) error, interceptor gogrpc.UnaryServerInterceptor) (any, error)
}

var _ gogrpc.ServiceRegistrar = (*Server)(nil)

// NewServer returns a server without services.
func NewServer() *Server { return &Server{methods: map[string]method{}} }

// RegisterService adds a service; the generated Register functions call it.
func (s *Server) RegisterService(desc *gogrpc.ServiceDesc, impl any) {
	for _, m := range desc.Methods {
		s.methods["/"+desc.ServiceName+"/"+m.MethodName] = method{impl, m.Handler}
	}
}

// Serve answers the calls of one connection.
func (s *Server) Serve(c *serve.Conn) { newConn(s, c).run() }

// call is a request that is complete.
type call struct {
	header headers
	body   []byte // the message, with its prefix
}

// answer runs the method of a call and returns its message, with its prefix.
func (s *Server) answer(c call) (reply []byte, st *status.Status) {
	defer func() {
		if p := recover(); p != nil {
			reply, st = nil, status.Newf(codes.Internal, "panic: %v", p)
		}
	}()
	m, ok := s.methods[c.header.path]
	if !ok {
		return nil, status.Newf(codes.Unimplemented, "there is no method %.256q", c.header.path)
	}
	message, err := unwrap(c.body)
	if err != nil {
		return nil, status.Convert(err)
	}
	ctx, cancel, err := c.header.context()
	if err != nil {
		return nil, status.Convert(err)
	}
	defer cancel()
	out, err := m.handle(m.impl, ctx, func(into any) error {
		if err := proto.Unmarshal(message, into.(proto.Message)); err != nil {
			return status.Errorf(codes.Internal, "the request is no such message: %v", err)
		}
		return nil
	}, nil)
	if err != nil {
		return nil, statusOf(err)
	}
	if reply, err = wrap(out.(proto.Message)); err != nil {
		return nil, status.New(codes.Internal, err.Error())
	}
	return reply, nil
}

// statusOf is what a handler's error says, or the end of its context.
func statusOf(err error) *status.Status {
	if st, ok := status.FromError(err); ok {
		return st
	}
	return status.FromContextError(err)
}

// unwrap takes the one message out of a body.
func unwrap(body []byte) ([]byte, error) {
	switch {
	case len(body) < 5:
		return nil, status.Error(codes.Internal, "the request has no message")
	case body[0] != 0:
		return nil, status.Error(codes.Unimplemented, "compressed messages are not taken")
	case int64(len(body)-5) != int64(be32(body[1:])):
		return nil, status.Error(codes.Internal, "the request is not one message")
	}
	return body[5:], nil
}

func wrap(m proto.Message) ([]byte, error) {
	out, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, 5, 64), m)
	if err == nil {
		putBE32(out[1:], uint32(len(out)-5))
	}
	return out, err
}

// headers is what a call says of itself.
type headers struct {
	path, timeout, kind, method string
	rest                        metadata.MD
}

func (h *headers) add(name, value string) {
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
		if strings.HasPrefix(name, ":") || strings.HasPrefix(name, "grpc-") || name == "te" {
			return
		}
		if h.rest == nil {
			h.rest = metadata.MD{}
		}
		h.rest.Append(name, value)
	}
}

// isCall says whether it is gRPC at all.
func (h headers) isCall() bool {
	return h.method == "POST" && (h.kind == "application/grpc" || strings.HasPrefix(h.kind, "application/grpc+") || strings.HasPrefix(h.kind, "application/grpc;"))
}

func (h headers) context() (context.Context, context.CancelFunc, error) {
	ctx := metadata.NewIncomingContext(context.Background(), h.rest)
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

// ours says whether a status is the service's own fault and not the client's.
func ours(st *status.Status) bool {
	switch st.Code() {
	case codes.Internal, codes.Unknown, codes.Unavailable, codes.DataLoss:
		return true
	}
	return false
}
