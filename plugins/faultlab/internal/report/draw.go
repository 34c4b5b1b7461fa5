package report

import (
	"fmt"

	"github.com/theseusd/theseus/plugins/faultlab/internal/lab"
)

// chart is one strategy: its numbers and its timeline.
type chart struct {
	lab.Trial
	Outcome, OutcomeAs string
	Tiles              []tile
	Used               string // of the intensity, in percent of the meter
	Over               bool   // more than it allows
	Allowed            int
	Period             string
	Ticks              []tick
	Lanes              []lane
	GaveUp             string // percent; empty if it did not
	GaveUpAnchor       string
	Cut                bool // a lane has more events than are kept
}

// tile is one number.
type tile struct{ Label, Value string }

// lane is one worker.
type lane struct {
	Worker string
	Spans  []span
	Marks  []mark
}

// span is how a worker was for a while.
type span struct{ From, Width, As, Hint string }

// mark is one event.
type mark struct{ At, As, Hint string }

func draw(t Title, trial lab.Trial) chart {
	c := chart{Trial: trial, Allowed: t.Intensity, Period: Seconds(t.Period)}
	c.Outcome, c.OutcomeAs = outcome(trial)
	c.Over = trial.InWindow > t.Intensity
	c.Used = percent(float64(trial.InWindow) / float64(max(trial.InWindow, t.Intensity, 1)))
	c.Tiles = []tile{
		{"crashes", fmt.Sprint(trial.Crashes)},
		{"workers restarted", fmt.Sprint(trial.Restarts)},
		{"recovery p50", Seconds(trial.Recovery.P50)},
		{"recovery p99", Seconds(trial.Recovery.P99)},
		{"recovery max", Seconds(trial.Recovery.Max)},
		{"never restarted", fmt.Sprintf("%d of %d", trial.Unharmed, t.Workers)},
	}
	if n := trial.Remains.Orphans; n > 0 {
		c.Tiles = append(c.Tiles, tile{"orphaned", fmt.Sprint(n)})
	}
	if n := trial.Remains.Leaked; n > 0 {
		c.Tiles = append(c.Tiles, tile{"leaked goroutines", fmt.Sprint(n)})
	}
	took := max(trial.Took, trial.Escalated*1.05, 1e-9) // what the supervisor stopped when it gave up is to be seen
	for i := range 5 {
		share := float64(i) / 4
		label := "0"
		if i > 0 {
			label = Seconds(took * share)
		}
		c.Ticks = append(c.Ticks, tick{percent(share), label, anchor(share), i%2 == 1})
	}
	if trial.Escalated > 0 {
		c.GaveUp = percent(trial.Escalated / took)
		c.GaveUpAnchor = "start"
		if trial.Escalated > took/2 {
			c.GaveUpAnchor = "end"
		}
	}
	for _, l := range trial.Lanes {
		c.Lanes = append(c.Lanes, drawLane(l, took))
		c.Cut = c.Cut || len(l.Events) >= lab.MaxEvents
	}
	return c
}

// pen draws a lane from left to right.
type pen struct {
	lane
	took float64
	from float64 // of the span that is open
	as   string  // of it; empty if there is none
	hurt string  // the fault that the lab has just done
}

func drawLane(l lab.Lane, took float64) lane {
	p := pen{lane: lane{Worker: l.Worker}, took: took}
	for _, e := range l.Events {
		p.event(e)
	}
	end := took
	if n := len(l.Events); n >= lab.MaxEvents {
		end = l.Events[n-1].At // what came later is not known
	}
	p.close(end)
	return p.lane
}

func (p *pen) event(e lab.Event) {
	switch e.What {
	case lab.Started:
		p.open(e.At, "up")
	case lab.Hurt:
		p.mark(e.At, "hurt", e.Text)
		p.hurt = e.Text
		if e.Text == string(lab.Hang) {
			p.open(e.At, "hung")
		}
	case lab.Orphaned:
		p.Spans = append(p.Spans, p.span(e.At, p.took, "orphan", "runs on, though it was killed"))
	case lab.Ended:
		p.open(e.At, "down")
	case lab.Stopped:
		p.open(e.At, "stopped")
	case lab.Refused:
		p.mark(e.At, "refused", "start failed: "+e.Text)
	}
}

// open begins a span and ends the one before.
func (p *pen) open(at float64, as string) {
	p.close(at)
	p.from, p.as = at, as
}

var hints = map[string]string{
	"up": "up", "hung": "hangs", "down": "down, because it failed", "stopped": "stopped by the supervisor",
}

func (p *pen) close(at float64) {
	if p.as != "" {
		p.Spans = append(p.Spans, p.span(p.from, at, p.as, hints[p.as]))
	}
	p.as = ""
}

func (p *pen) span(from, to float64, as, hint string) span {
	return span{percent(from / p.took), percent((to - from) / p.took), as, fmt.Sprintf("%s %s: %s for %s", p.Worker, after(from), hint, Seconds(to-from))}
}

func (p *pen) mark(at float64, as, hint string) {
	p.Marks = append(p.Marks, mark{percent(at / p.took), as, fmt.Sprintf("%s %s: %s", p.Worker, after(at), hint)})
}

func after(at float64) string {
	if at <= 0 {
		return "at the beginning"
	}
	return "after " + Seconds(at)
}
