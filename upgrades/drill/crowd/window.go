package crowd

import (
	"sync/atomic"
	"time"
)

// Window is what came of messages in a stretch of time: how many there were, and how late clients heard them.
type Window struct {
	Took time.Duration

	said, heard atomic.Int64
	worst       atomic.Int64
	counts      [100_000]atomic.Int32 // by lateness in steps; what is later is in the last
}

const step = 100 * time.Microsecond

// During is the window in which something is done.
func (c *Crowd) During(do func() error) (*Window, error) {
	w, began := new(Window), time.Now()
	c.window.Store(w)
	err := do()
	w.Took = time.Since(began)
	c.window.Store(new(Window))
	return w, err
}

func (w *Window) add(late time.Duration) {
	w.heard.Add(1)
	w.counts[min(max(late/step, 0), time.Duration(len(w.counts)-1))].Add(1)
	for worst := w.worst.Load(); int64(late) > worst && !w.worst.CompareAndSwap(worst, int64(late)); {
		worst = w.worst.Load()
	}
}

// Worst is how late the latest message was.
func (w *Window) Worst() time.Duration { return time.Duration(w.worst.Load()) }

// Late is how late messages were at most in that part of all cases, by a step of 0.1 ms and ten seconds at most; 0 if there are none.
func (w *Window) Late(part float64) time.Duration {
	want, sum := float64(w.heard.Load())*part, int64(0)
	for i := range w.counts {
		if sum += int64(w.counts[i].Load()); sum > 0 && float64(sum) >= want {
			return min(time.Duration(i+1)*step, w.Worst())
		}
	}
	return 0
}

// Rates is how many messages were said, and how many heard, in a second.
func (w *Window) Rates() (said, heard float64) {
	return float64(w.said.Load()) / w.Took.Seconds(), float64(w.heard.Load()) / w.Took.Seconds()
}
