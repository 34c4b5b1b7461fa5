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
	requests := count(v.Requests) + " requests"
	switch v.Requests {
	case 0:
		return "no requests"
	case 1:
		requests = "1 request"
	}
	failed := strconv.FormatFloat(100*float64(v.Failures)/float64(v.Requests), 'g', 3, 64)
	return fmt.Sprintf("%s, %s%% failed, p99 %s", requests, failed, seconds(v.P99))
}

func crashes(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "; 1 crash"
	}
	return fmt.Sprintf("; %d crashes", n)
}
