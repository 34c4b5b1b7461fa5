package sdk

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// leaseTerm is how long a process goes on without hearing from any daemon. The keel restarts a daemon within
// seconds, so after this long there is no instance any more.
const leaseTerm = 10 * time.Minute

// lease remembers when the daemon last spoke.
type lease struct{ last atomic.Int64 }

func (l *lease) touch() { l.last.Store(int64(time.Since(processStart))) }

func (l *lease) silent() time.Duration {
	return time.Since(processStart) - time.Duration(l.last.Load())
}

// processStart keeps the lease on the monotonic clock: a step of the wall clock must not end a service.
var processStart = time.Now()

func (rt *process) heard(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	rt.lease.touch()
	return next(ctx, req)
}

func (rt *process) heardStream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	rt.lease.touch()
	return next(srv, s)
}

func (rt *process) watchLease() {
	for range time.Tick(leaseTerm / 20) {
		if rt.lease.silent() > leaseTerm {
			rt.log.Warn("no daemon has spoken for too long; leaving, the state stays in the log")
			rt.close()
			os.Exit(0)
		}
	}
}
