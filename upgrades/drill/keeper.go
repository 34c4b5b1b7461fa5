package drill

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// keepers are clients that each hold one connection and use it without a break. A request that fails, a wrong
// answer or a closed connection ends a keeper for good.
type keepers struct {
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu     sync.Mutex
	ports  []int // of the clients' ends
	errs   []error
	served uint64
	worst  time.Duration
}

// keeper is one client: next sends a request and returns the count it was answered with.
type keeper struct {
	conn net.Conn
	name string
	next func() (int64, error)
}

func httpKeeper(addr, name string) (keeper, error) {
	c, err := dialHTTP(addr)
	if err != nil {
		return keeper{}, err
	}
	return keeper{c.conn, name, func() (int64, error) { return hit(c, name) }}, nil
}

func respKeeper(addr, name string) (keeper, error) {
	c, err := dialRESP(addr)
	if err != nil {
		return keeper{}, err
	}
	return keeper{c.conn, name, func() (int64, error) { return c.incr(name) }}, nil
}

// keep opens n connections and begins to use them.
func (k *keepers) keep(ctx context.Context, n int, addr, name string, dial func(addr, name string) (keeper, error)) error {
	for i := range n {
		one, err := dial(addr, fmt.Sprintf("%s-%d", name, i))
		if err != nil {
			return err
		}
		k.ports = append(k.ports, one.conn.LocalAddr().(*net.TCPAddr).Port)
		k.wait.Go(func() { k.use(ctx, one) })
	}
	return nil
}

func (k *keepers) use(ctx context.Context, one keeper) {
	defer one.conn.Close()
	count, last := int64(0), time.Now()
	for ctx.Err() == nil {
		n, err := one.next()
		if err == nil && n != count+1 {
			err = fmt.Errorf("request %d was answered with %d", count+1, n)
		}
		now := time.Now()
		k.note(one, err, now.Sub(last))
		if err != nil {
			return
		}
		count, last = n, now
	}
	k.mu.Lock()
	k.served += uint64(count)
	k.mu.Unlock()
}

func (k *keepers) note(one keeper, err error, gap time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.worst = max(k.worst, gap)
	if err != nil {
		k.errs = append(k.errs, fmt.Errorf("%s: %w", one.name, err))
	}
}

// stop ends all of them.
func (k *keepers) stop() {
	k.cancel()
	k.wait.Wait()
}
