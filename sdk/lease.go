package sdk

import (
	"context"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// leaseTerm is how long a process goes on without hearing from any daemon. The keel restarts a daemon within
// seconds, so after this long there is no instance any more.
const leaseTerm = 10 * time.Minute

// leaseTicks is how many ticks without a word make a term. Ticks are counted, and the clock is not asked: a process that
// stood still for an hour, or whose machine did, has lost one tick and not its lease.
const leaseTicks = 20

// lease is a process's right to go on. A daemon that speaks renews it; once it has run out it is never renewed.
type lease struct {
	mu     sync.Mutex
	silent int // ticks since a daemon last spoke
	over   bool
}

// touch renews the lease, or tells the daemon that it has come too late.
func (l *lease) touch() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return status.Error(codes.Unavailable, "no daemon had spoken for too long: this process is leaving, its state is in the log")
	}
	l.silent = 0
	return nil
}

// tick counts, and is true once: when the lease has run out.
func (l *lease) tick() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent++
	if l.over || l.silent <= leaseTicks {
		return false
	}
	l.over = true
	return true
}

// watch calls leave when the lease has run out, or returns when the context ends.
func (l *lease) watch(ctx context.Context, leave func()) {
	tick := time.NewTicker(leaseTerm / leaseTicks)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if l.tick() {
			leave()
			return
		}
	}
}

func (rt *process) heard(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := rt.lease.touch(); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (rt *process) heardStream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := rt.lease.touch(); err != nil {
		return err
	}
	return next(srv, s)
}

func (rt *process) leaveAlone() {
	rt.log.Warn("no daemon has spoken for too long; leaving, the state stays in the log", "term", leaseTerm)
	rt.close()
	os.Exit(0)
}
