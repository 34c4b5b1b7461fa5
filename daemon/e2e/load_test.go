package e2e

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	loaders     = 8
	limited     = 50 // clients of ratelimit in each protocol
	answerLimit = 10 * time.Second
)

// loader counts visits over connections that never retry a request by themselves.
type loader struct {
	stop    atomic.Bool
	wg      sync.WaitGroup
	workers []*worker
}

// worker is one connection and one user, whose count it knows.
type worker struct {
	client
	user          string
	acked, failed int64
	slowest       time.Duration
	first         chan struct{} // closed after the first answer
	why           error         // the first failure
}

// load starts and stops the load of a script: on visits, on the cache, or on ratelimit, where half of the clients are Envoys.
func load(ts *testscript.TestScript, neg bool, args []string) {
	i := instanceOf(ts)
	what := strings.Join(args, " ")
	switch {
	case !neg && what == "start" && i.load == nil:
		i.load = startLoad(ts, times(loaders, func() client { return &wire{protocol: visitsOverHTTP{}, addr: i.http} }))
	case !neg && what == "start cache" && i.load == nil:
		i.load = startLoad(ts, times(loaders, func() client { return &wire{protocol: countersOverRESP{}, addr: i.resp} }))
	case !neg && what == "start ratelimit" && i.load == nil:
		i.load = startLoad(ts, append(
			times(limited, func() client { return &wire{protocol: limitsOverRESP{}, addr: i.limits} }),
			times(limited, func() client { return &gateway{addr: i.rls} })...))
	case !neg && what == "stop" && i.load != nil:
		i.load.end()
		fmt.Fprintln(ts.Stdout(), i.load.result(ts))
		i.load = nil
	default:
		ts.Fatalf("usage: load start [cache|ratelimit], then load stop")
	}
}

func times(n int, one func() client) (all []client) {
	for range n {
		all = append(all, one())
	}
	return all
}

// startLoad returns when every worker had an answer.
func startLoad(ts *testscript.TestScript, clients []client) *loader {
	l, began := &loader{}, time.Now().UnixNano() // users that nobody counted before
	for n, c := range clients {
		w := &worker{client: c, user: fmt.Sprintf("load%d.%d", began, n), first: make(chan struct{})}
		l.workers = append(l.workers, w)
		l.wg.Go(func() { w.run(&l.stop) })
	}
	ts.Defer(l.end)
	for _, w := range l.workers {
		select {
		case <-w.first:
		case <-time.After(patience):
			ts.Fatalf("no answer: %v", w.why)
		}
	}
	return l
}

func (l *loader) end() {
	l.stop.Store(true)
	l.wg.Wait()
}

// result compares what was acknowledged with what is there. A request that failed may have been counted or not.
func (l *loader) result(ts *testscript.TestScript) string {
	var acked, failed, lost, extra int64
	var slowest time.Duration
	for _, w := range l.workers {
		there, err := w.count()
		ts.Check(err)
		acked, failed = acked+w.acked, failed+w.failed
		lost += max(0, w.acked-there)
		extra += max(0, there-w.acked-w.failed)
		slowest = max(slowest, w.slowest)
		if w.why != nil {
			ts.Logf("%s: %v", w.user, w.why)
		}
	}
	return fmt.Sprintf("acked=%d failed=%d lost=%d extra=%d slowest=%v", acked, failed, lost, extra, slowest.Round(10*time.Microsecond))
}

func (w *worker) run(stop *atomic.Bool) {
	defer w.drop()
	for !stop.Load() {
		if err := w.hit(); err != nil {
			w.failed++
			if w.why == nil {
				w.why = fmt.Errorf("after %d answers: %w", w.acked, err)
			}
			w.drop()
			time.Sleep(askEvery)
			continue
		}
		if w.acked++; w.acked == 1 {
			close(w.first)
		}
	}
}

// hit is one request; the connection stays.
func (w *worker) hit() error {
	began := time.Now()
	_, err := w.ask(w.user, true)
	w.slowest = max(w.slowest, time.Since(began))
	return err
}

// count asks for what is there, over a new connection.
func (w *worker) count() (int64, error) {
	w.drop()
	defer w.drop()
	return w.ask(w.user, false)
}
