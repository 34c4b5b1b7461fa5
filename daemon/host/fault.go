package host

import (
	"context"
	"path"
	"strings"

	"google.golang.org/grpc"

	"github.com/theseusd/theseus/sdk/fault"
	"github.com/theseusd/theseus/sdk/wire"
)

// faulty has a point before and after each call to a process.
func faulty(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, o ...grpc.CallOption) error {
	which, ok := callPoint(method)
	if !ok {
		return call(ctx, method, req, reply, cc, o...)
	}
	fault.AtOne(fault.CallBefore, which)
	err := call(ctx, method, req, reply, cc, o...)
	fault.AtOne(fault.CallAfter, which)
	return err
}

// faultyStream has a point before a call that answers more than once, and one when it has begun.
func faultyStream(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, call grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	which, ok := callPoint(method)
	if !ok {
		return call(ctx, d, cc, method, o...)
	}
	fault.AtOne(fault.CallBefore, which)
	s, err := call(ctx, d, cc, method, o...)
	fault.AtOne(fault.CallAfter, which)
	return s, err
}

// callPoint names the calls that change something, and the health check. Status is asked all the time, by anybody.
func callPoint(method string) (which string, ok bool) {
	which = strings.ToLower(path.Base(method))
	return which, path.Dir(method) == "/"+wire.Service_ServiceDesc.ServiceName && which != "status"
}
