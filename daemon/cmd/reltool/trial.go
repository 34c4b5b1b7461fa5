package main

import (
	"fmt"
	"strconv"

	"github.com/theseusd/theseus/sdk/control"
)

// showTrials prints what the versions on probation are like, beside those before them.
func (t *tool) showTrials(u *control.Upgrade) {
	if u == nil {
		return
	}
	for _, v := range u.Trials {
		fmt.Fprintf(t.out, "on probation: %s %s: %s; the minute before: %s%s\n",
			v.Service, v.Version, traffic(v.Now), traffic(v.Before), crashes(v.Crashes))
	}
}

func traffic(v control.Traffic) string {
	if v.Requests == 0 {
		return "no requests"
	}
	failed := strconv.FormatFloat(100*float64(v.Failures)/float64(v.Requests), 'g', 3, 64)
	return fmt.Sprintf("%s, %s%% failed, p99 %s", several(v.Requests, "request", "requests"), failed, seconds(v.P99))
}

func crashes(n int) string {
	if n == 0 {
		return ""
	}
	return "; " + several(uint64(n), "crash", "crashes")
}
