package daemon

import (
	"testing"
	"time"

	"github.com/theseusd/theseus/daemon/audit"
	"github.com/theseusd/theseus/daemon/keel"
	"github.com/theseusd/theseus/sdk/control"
)

func TestReplacementHasOneEnd(t *testing.T) {
	for name, c := range map[string]struct {
		last   string // the newest event about it
		now    keel.Replacement
		want   string // the next one, "" if none
		reason string
	}{
		"it went well":                        {audit.DaemonReplacing, keel.Replacement{ID: 1, State: keel.Replaced}, audit.DaemonReplaced, ""},
		"that is written already":             {audit.DaemonReplaced, keel.Replacement{ID: 1, State: keel.Replaced}, "", ""},
		"the new one was not ready in time":   {audit.DaemonReplacing, keel.Replacement{ID: 1, State: keel.Failed, Error: "late"}, audit.DaemonNotReplaced, "late"},
		"it died three times within a minute": {audit.DaemonReplaced, keel.Replacement{ID: 1, State: keel.Failed, Error: "died"}, audit.DaemonNotReplaced, "died"},
		"the keel was killed in the middle":   {audit.DaemonReplacing, keel.Replacement{}, audit.DaemonNotReplaced, "the keel ended in the middle of it"},
		"the keel was killed long after":      {audit.DaemonReplaced, keel.Replacement{}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			begun := control.Event{Kind: c.last, From: "0.1.0", To: "0.2.0", By: "ada", Time: time.Now().Add(-time.Second)}
			ev, news := ending(begun, c.now)
			if news != (c.want != "") || news && (ev.Kind != c.want || ev.Reason != c.reason || ev.By != "ada" || ev.To != "0.2.0") {
				t.Errorf("%v %+v, want %s because %q", news, ev, c.want, c.reason)
			}
		})
	}
}

func TestNewestEventAboutAReplacementCounts(t *testing.T) {
	past := []control.Event{{Kind: audit.DaemonReplaced}, {Kind: audit.DaemonReplacing}, {Kind: audit.DaemonStopped}, {Kind: audit.Crashed}}
	if ev, ok := lastReplacement(past); !ok || ev.Kind != audit.DaemonReplacing {
		t.Errorf("%v %+v", ok, ev)
	}
	if _, ok := lastReplacement(past[2:]); ok {
		t.Error("there was none")
	}
}
