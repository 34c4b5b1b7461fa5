package lab

import (
	"math"
	"slices"
	"time"
)

// Trial is what one strategy made of a plan.
type Trial struct {
	Strategy  string   `json:"strategy"`
	Story     []string `json:"story"`
	Crashes   int      `json:"crashes"`
	Restarts  int      `json:"restarts"`         // of workers
	Counted   int      `json:"counted"`          // restarts as the supervisor counts them
	InWindow  int      `json:"in_window"`        // the most of these within the period
	Unharmed  int      `json:"unharmed"`         // workers that ran all the time
	Escalated float64  `json:"escalated"`        // seconds until the supervisor gave up; 0 if it did not
	Recovery  Recovery `json:"recovery"`         // from the fault to the first answer of all that were restarted
	Remains   Remains  `json:"remains"`          // what Go could not end
	Took      float64  `json:"took"`             // seconds
	Lanes     []Lane   `json:"lanes"`            // of the workers that are drawn
	Others    int      `json:"others"`           // workers that are not
	Broken    string   `json:"broken,omitempty"` // why the trial was not finished
}

// Recovery is in seconds.
type Recovery struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// Lane is the timeline of one worker.
type Lane struct {
	Worker string  `json:"worker"`
	Events []Event `json:"events"`
}

// recovery sums up.
func recovery(times []time.Duration) Recovery {
	if len(times) == 0 {
		return Recovery{}
	}
	times = slices.Sorted(slices.Values(times))
	at := func(share float64) float64 {
		return times[max(int(math.Ceil(share*float64(len(times))))-1, 0)].Seconds()
	}
	return Recovery{Count: len(times), P50: at(0.5), P99: at(0.99), Max: at(1)}
}
