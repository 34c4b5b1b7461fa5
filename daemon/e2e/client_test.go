package e2e

import (
	"bufio"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	common "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"
	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// client counts for a user and tells the count, over one connection.
type client interface {
	ask(user string, add bool) (count int64, err error)
	drop() // the connection, if there is one
}

// wire is a client that speaks a protocol on a socket.
type wire struct {
	protocol
	addr string
	conn net.Conn
	in   *bufio.Reader
}

func (w *wire) ask(user string, add bool) (int64, error) {
	if err := w.dial(); err != nil {
		return 0, err
	}
	_ = w.conn.SetDeadline(time.Now().Add(answerLimit))
	return w.protocol.ask(w.conn, w.in, user, add)
}

func (w *wire) dial() error {
	if w.conn != nil {
		return nil
	}
	conn, err := net.DialTimeout("tcp", w.addr, answerLimit)
	if err != nil {
		return err
	}
	w.conn, w.in = conn, bufio.NewReader(conn)
	return nil
}

func (w *wire) drop() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// gateway is a client of go-control-plane, as an Envoy is one. A second connection would be one that was cut.
type gateway struct {
	addr  string
	cc    *grpc.ClientConn
	dials atomic.Int32
}

func (g *gateway) ask(user string, add bool) (int64, error) {
	if err := g.dial(); err != nil {
		return 0, err
	}
	ctx, stop := context.WithTimeout(context.Background(), answerLimit)
	defer stop()
	d := &common.RateLimitDescriptor{Entries: []*common.RateLimitDescriptor_Entry{{Key: "user", Value: user}}}
	if !add {
		d.HitsAddend = wrapperspb.UInt64(0)
	}
	r, err := rls.NewRateLimitServiceClient(g.cc).ShouldRateLimit(ctx, &rls.RateLimitRequest{
		Domain: "edge", Descriptors: []*common.RateLimitDescriptor{d},
	})
	switch {
	case err != nil:
		return 0, err
	case g.dials.Load() > 1:
		return 0, errors.New("the connection was cut")
	case r.OverallCode != rls.RateLimitResponse_OK:
		return 0, errors.New("over the limit")
	}
	return limitOfScripts - int64(r.Statuses[0].LimitRemaining), nil
}

func (g *gateway) dial() (err error) {
	if g.cc != nil {
		return nil
	}
	g.dials.Store(0)
	g.cc, err = grpc.NewClient("passthrough:///"+g.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			g.dials.Add(1)
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}))
	return err
}

func (g *gateway) drop() {
	if g.cc != nil {
		_ = g.cc.Close()
		g.cc = nil
	}
}
