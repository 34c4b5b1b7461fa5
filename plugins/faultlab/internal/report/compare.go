package report

import (
	"fmt"
	"math"

	"github.com/theseusd/theseus/plugins/faultlab/internal/lab"
)

// comparison puts the strategies on one scale, a logarithmic one.
type comparison struct {
	Ticks []tick
	Rows  []row
}

// row is one strategy. Places are in percent; empty if nothing recovered.
type row struct {
	Strategy           string
	P50, P99, Max      string
	Span               string // from p50 to max
	Text               string // the same in numbers
	Who                string
	Outcome, OutcomeAs string
}

func compare(t Title, trials []lab.Trial) comparison {
	low, high := decades(trials)
	var c comparison
	for d := low; d <= high; d++ {
		share := float64(d-low) / float64(high-low)
		c.Ticks = append(c.Ticks, tick{percent(share), Seconds(math.Pow10(d)), anchor(share), (d-low)%2 == 1 && d != high})
	}
	at := func(s float64) float64 { return (math.Log10(s) - float64(low)) / float64(high-low) }
	for _, trial := range trials {
		r := row{Strategy: trial.Strategy, Text: "nothing recovered"}
		r.Outcome, r.OutcomeAs = outcome(trial)
		if f := trial.Recovery; f.Count > 0 {
			r.P50, r.P99, r.Max, r.Span = percent(at(f.P50)), percent(at(f.P99)), percent(at(f.Max)), percent(at(f.Max)-at(f.P50))
			r.Text = fmt.Sprintf("p50 %s, p99 %s, max %s", Seconds(f.P50), Seconds(f.P99), Seconds(f.Max))
		}
		if recovered := trial.Recovery.Count; recovered > 0 && t.Workers > 0 {
			each := float64(trial.Restarts) / float64(recovered)
			r.Who = fmt.Sprintf("%s of %d workers restarted for each crash", digits(max(each, 0.001)), t.Workers)
		}
		c.Rows = append(c.Rows, r)
	}
	return c
}

// decades are the powers of ten that hold every recovery time, in seconds; at least one.
func decades(trials []lab.Trial) (low, high int) {
	least, most := math.Inf(1), 0.0
	for _, t := range trials {
		if t.Recovery.Count > 0 {
			least, most = min(least, max(t.Recovery.P50, 1e-9)), max(most, t.Recovery.Max)
		}
	}
	if most == 0 {
		return -6, 0
	}
	low, high = int(math.Floor(math.Log10(least))), int(math.Ceil(math.Log10(most)))
	return low, max(high, low+1)
}

// outcome is the end of a trial, and how it is shown.
func outcome(t lab.Trial) (text, as string) {
	switch {
	case t.Broken != "":
		return "broken off", "bad"
	case t.Escalated > 0:
		return "supervisor gave up after " + Seconds(t.Escalated), "bad"
	default:
		return "recovered", "good"
	}
}
