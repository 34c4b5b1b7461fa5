package lab

import (
	"slices"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
)

// Kinds of events in a timeline.
const (
	Started  = "started"
	Refused  = "start_failed"
	Hurt     = "hurt"   // the lab did it
	Ended    = "exited" // the worker failed
	Stopped  = "stopped"
	Answered = "answered" // after a restart
	Orphaned = "orphaned" // it was killed and runs on
	GaveUp   = "gave_up"  // the supervisor did
)

// Event is one thing that happened to a worker.
type Event struct {
	At   float64 `json:"at"` // seconds since the trial began
	What string  `json:"what"`
	Text string  `json:"text,omitempty"`
}

// Bounds of what is kept of one trial.
const (
	MaxLanes  = 24
	MaxEvents = 400 // of one lane
)

// diary is what is known of a trial. The supervisor's goroutine writes into it, and the lab's.
type diary struct {
	mu      sync.Mutex
	began   time.Time
	index   map[string]int
	starts  []int
	exits   []int
	fresh   []int // workers that were started since the last fault, in this order
	up      []bool
	lanes   map[string][]Event // of the workers that are drawn
	window  func() int         // restarts within the period, as the supervisor counts them
	counted int                // restarts
	most    int                // of them within the period
	inside  int                // at the last look
	serving bool
	gaveUp  time.Duration // 0 unless it did
	news    chan struct{}
}

func newDiary(p Plan, drawn []string) *diary {
	d := &diary{
		began: time.Now(), index: map[string]int{}, starts: make([]int, p.Workers), exits: make([]int, p.Workers),
		up: make([]bool, p.Workers), lanes: map[string][]Event{}, news: make(chan struct{}, 1),
	}
	for i, name := range p.Names {
		d.index[name] = i
	}
	for _, name := range drawn {
		d.lanes[name] = []Event{}
	}
	return d
}

// add writes down what the lab did or saw.
func (d *diary) add(name, what, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.note(name, what, text)
}

// note adds an event to a lane; the caller holds mu.
func (d *diary) note(name, what, text string) {
	if lane, drawn := d.lanes[name]; drawn && len(lane) < MaxEvents {
		d.lanes[name] = append(lane, Event{At: time.Since(d.began).Seconds(), What: what, Text: text})
	}
}

// report is what the supervisor tells.
func (d *diary) report(r supervise.Report) {
	inside := d.window()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside, d.most = inside, max(d.most, inside)
	i := d.index[r.ID]
	text := ""
	if r.Reason != nil {
		text = r.Reason.Error()
	}
	switch r.Event {
	case supervise.Started:
		d.starts[i]++
		d.fresh = append(d.fresh, i)
		d.up[i] = true
		d.note(r.ID, Started, "")
	case supervise.StartFailed:
		d.note(r.ID, Refused, text)
		d.count()
	case supervise.Exited:
		d.exits[i]++
		d.up[i] = false
		d.note(r.ID, Ended, text)
		d.count()
	case supervise.Stopped, supervise.StopFailed:
		d.up[i] = false
		d.note(r.ID, Stopped, text)
	case supervise.GaveUp:
		d.gaveUp = max(time.Since(d.began), 1)
		d.note(r.ID, GaveUp, text)
	}
	d.ring()
}

// count counts a restart that is to follow. The caller holds mu.
func (d *diary) count() {
	if d.serving { // a start that fails at the very beginning is no restart
		d.counted++
	}
}

func (d *diary) ring() {
	select {
	case d.news <- struct{}{}:
	default:
	}
}

// look gives f what is known.
func (d *diary) look(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// restarted lists the workers that were started since the last fault, by their places.
func (d *diary) restarted() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	slices.Sort(d.fresh)
	return slices.Compact(d.fresh)
}
