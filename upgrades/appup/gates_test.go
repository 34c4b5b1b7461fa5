package appup

import (
	"testing"
	"time"
)

func TestGatesInNumbers(t *testing.T) {
	for _, tc := range []struct {
		gates Gates
		want  Limits
		text  string
	}{
		{Gates{}, Limits{Errors: true, ErrorRate: 0.05, Requests: 100}, "failed requests +5%"},
		{Gates{ErrorRate: "off", Crashes: 2, Requests: 7}, Limits{Crashes: 2, Requests: 7}, "crashes 2"},
		{
			Gates{ErrorRate: "0%", P99: "2.5x"},
			Limits{Errors: true, P99Factor: 2.5, Requests: 100},
			"failed requests +0%, p99 2.5x",
		},
		{
			Gates{ErrorRate: "0.25%", P99: "3x, 250ms"},
			Limits{Errors: true, ErrorRate: 0.0025, P99Factor: 3, P99: 250 * time.Millisecond, Requests: 100},
			"failed requests +0.25%, p99 3x, 250ms",
		},
		{Gates{ErrorRate: "off", P99: "1s"}, Limits{P99: time.Second, Requests: 100}, "p99 1s"},
	} {
		if got := tc.gates.Limits(); got != tc.want || got.String() != tc.text {
			t.Errorf("%+v: got %+v %q, want %+v %q", tc.gates, got, got, tc.want, tc.text)
		}
	}
	if got := (Gates{P99: "2x"}).Limits().Floor(); got != 50*time.Millisecond {
		t.Errorf("a factor alone means at least %s", got)
	}
}
