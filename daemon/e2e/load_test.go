package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	loaders     = 8
	answerLimit = 10 * time.Second
)

// loader counts visits over connections that never retry a request by themselves.
type loader struct {
	stop    atomic.Bool
	wg      sync.WaitGroup
	workers [loaders]*worker
}

// worker is one connection and one user, whose count it knows.
type worker struct {
	protocol
	addr, user    string
	conn          net.Conn
	in            *bufio.Reader
	acked, failed int64
	first         chan struct{} // closed after the first answer
	why           error         // the first failure
}

// load starts and stops the load of a script: on visits, or on the cache.
func load(ts *testscript.TestScript, neg bool, args []string) {
	i := instanceOf(ts)
	what := strings.Join(args, " ")
	switch {
	case !neg && what == "start" && i.load == nil:
		i.load = startLoad(ts, i.http, visitsOverHTTP{})
	case !neg && what == "start cache" && i.load == nil:
		i.load = startLoad(ts, i.resp, countersOverRESP{})
	case !neg && what == "stop" && i.load != nil:
		i.load.end()
		fmt.Fprintln(ts.Stdout(), i.load.result(ts))
		i.load = nil
	default:
		ts.Fatalf("usage: load start [cache], then load stop")
	}
}

// startLoad returns when every worker had an answer.
func startLoad(ts *testscript.TestScript, addr string, p protocol) *loader {
	l, began := &loader{}, time.Now().UnixNano() // users that nobody counted before
	for n := range l.workers {
		w := &worker{protocol: p, addr: addr, user: fmt.Sprintf("load%d.%d", began, n), first: make(chan struct{})}
		l.workers[n] = w
		l.wg.Go(func() { w.run(&l.stop) })
	}
	ts.Defer(l.end)
	for _, w := range l.workers {
		select {
		case <-w.first:
		case <-time.After(patience):
			ts.Fatalf("no answer from %s", addr)
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
	for _, w := range l.workers {
		there, err := w.count()
		ts.Check(err)
		acked, failed = acked+w.acked, failed+w.failed
		lost += max(0, w.acked-there)
		extra += max(0, there-w.acked-w.failed)
		if w.why != nil {
			ts.Logf("%s: %v", w.user, w.why)
		}
	}
	return fmt.Sprintf("acked=%d failed=%d lost=%d extra=%d", acked, failed, lost, extra)
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
	_, err := w.roundTrip(true)
	return err
}

func (w *worker) roundTrip(add bool) (count int64, err error) {
	if err := w.dial(); err != nil {
		return 0, err
	}
	_ = w.conn.SetDeadline(time.Now().Add(answerLimit))
	return w.ask(w.conn, w.in, w.user, add)
}

func (w *worker) dial() error {
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

func (w *worker) drop() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// count asks for what is there, over a new connection.
func (w *worker) count() (int64, error) {
	w.drop()
	defer w.drop()
	return w.roundTrip(false)
}
