package serve_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// How many clients talk in a test, and how many only listen.
const speakers, silent = 4, 60

// talker is a client in a service in which everybody gets what anybody says.
type talker interface {
	// run speaks, if it has a name, and listens until each speaker has said its last word.
	run(name string, said, stop *atomic.Int64) error
	Close() error
}

// talkOverTwentyHandovers has clients talk while their service changes process; at least so many messages before each time.
// Every one of them must hear all, once and in order, and keep its connection.
func talkOverTwentyHandovers(t *testing.T, enough int64, connect func(l *listeners) talker) {
	t.Helper()
	swaps := 20
	if testing.Short() {
		swaps = 3
	}
	l := listen(t)
	old := start(t, l, "v0")
	old.do("arm")
	var said, stop atomic.Int64
	wait := talk(t, func() talker { return connect(l) }, &said, &stop)
	for i := range swaps {
		next := start(t, l, fmt.Sprintf("v%d", i+1))
		pairUp(t, old, next)
		before := said.Load()
		eventually(t, func() bool { return said.Load() >= before+enough || t.Failed() })
		t.Logf("handover %d: %v", i, swap(old, next))
		next.do("unpair")
		old.kill()
		old = next
	}
	stop.Store(1)
	wait()
	if _, n := old.do("count"); n != fmt.Sprint(speakers+silent, " 0") {
		t.Errorf("connections served, ahead: %s", n)
	}
	t.Logf("%d messages to %d clients", said.Load(), speakers+silent)
}

// talk starts all clients, once all of them are there. If one fails all are hung up, since nobody waits for what does not come.
func talk(t *testing.T, connect func() talker, said, stop *atomic.Int64) (wait func()) {
	var running sync.WaitGroup
	var first sync.Once
	var all []talker
	for range speakers + silent {
		all = append(all, connect())
	}
	for id, c := range all {
		name := ""
		if id < speakers {
			name = fmt.Sprint("speaker", id)
		}
		running.Go(func() {
			if err := c.run(name, said, stop); err != nil {
				first.Do(func() { t.Errorf("client %d: %v", id, err) })
				for _, c := range all {
					_ = c.Close()
				}
			}
		})
	}
	return running.Wait
}

// talkTime bounds a client's part in a test.
const talkTime = 2 * time.Minute
