package grpc

import (
	"context"
	"net"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
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
	maxPieces   = 16 // frames of one header
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

// answer runs the method of a call that is complete; body is its message, with its prefix.
func (s *Server) answer(from net.Addr, h headers, body []byte) *answer {
	a := &answer{path: h.path}
	defer a.end()
	a.message, a.status = s.run(a, from, h, body)
	return a
}

func (s *Server) run(a *answer, from net.Addr, h headers, body []byte) (reply []byte, st *status.Status) {
	defer func() {
		if p := recover(); p != nil {
			reply, st = nil, status.Newf(codes.Internal, "panic: %v", p)
		}
	}()
	m, ok := s.methods[h.path]
	if !ok {
		return nil, status.Newf(codes.Unimplemented, "there is no method %.256q", h.path)
	}
	message, err := unwrap(body)
	if err != nil {
		return nil, status.Convert(err)
	}
	ctx, cancel, err := h.context(from)
	if err != nil {
		return nil, status.Convert(err)
	}
	defer cancel()
	out, err := m.handle(m.impl, gogrpc.NewContextWithServerTransportStream(ctx, a), func(into any) error {
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
