package upgrades

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

const budgets = `
[budget]
start = "7s"
shadow = "8s"
rehearse = "9s"
follow = "11s"
switch = "2s"
take_over = "3s"
stop = "4s"
`

// Whichever step hangs, the upgrade ends within the budget of the step with the old version, and says which it was.
func TestEveryStepHasABudget(t *testing.T) {
	const bound = 3 * time.Second // for the way back, and for other steps
	up, down := upFrom1+budgets, upFrom1+budgets
	for _, tc := range []struct {
		name, manifest, call string
		down                 bool
		want, says           string
		within               time.Duration
	}{
		{"start", up, "start visits 2.0.0", false, "aborted", "start: not done within its budget of 7s; raise start", 7 * time.Second},
		{"start, as it is", upFrom1, "start visits 2.0.0", false, "aborted", "start: not done within its budget of 5m0s; raise start", startBudget},
		{"rehearse", up, "rehearse visits 2.0.0", false, "rehearsal", "rehearse: not done within its budget of 9s; raise rehearse", 9 * time.Second},
		{"rehearse, as it is", upFrom1, "rehearse visits 2.0.0", false, "rehearsal", "budget of 30m0s; raise rehearse", rehearseBudget},
		{"pair", up, "pair visits 1.0.0", false, "aborted", "pair: not done within its budget of 10s;", pairBudget},
		{"follow", up, "status visits 2.0.0", false, "aborted", "follow: not done within its budget of 11s; raise follow", 11 * time.Second},
		{"let go", up, "release visits 1.0.0", false, "aborted", "let go: not done within its budget of ", 3 * time.Second},
		{"take over", up, "activate visits 2.0.0", false, "rolled_back", "take over: not done within its budget of 3s; raise take_over", 3 * time.Second},
		{"take over, as it is", upFrom1, "activate visits 2.0.0", false, "rolled_back", "budget of 1s; raise take_over", switchBudget},
		{"health", up, "health visits 2.0.0", false, "rolled_back", "health: not done within its budget of 5s;", healthBudget},
		{"stop of what is restarted", restart1 + budgets, "activate visits 2.0.0", false, "rolled_back", "budget of 5s; raise take_over", backBudget},

		{"shadow", down, "shadow visits 2.0.0", true, "aborted", "shadow: not done within its budget of 8s; raise shadow", 8 * time.Second},
		{"start, down", down, "start visits 1.0.0", true, "aborted", "start: not done within its budget of 7s; raise start", 7 * time.Second},
		{"take over, down", down, "activate visits 1.0.0", true, "rolled_back", "budget of 3s; raise take_over", 3 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := scenario{before: one("2.0.0", tc.manifest), down: tc.down}.set(t)
				d := w.boot()
				defer d.end()
				must(t, d.e.Boot(t.Context()))
				w.with(func() { w.calls, w.script = nil, on(tc.call, hang) })
				to, serves := "v2", "1.0.0"
				if tc.down {
					to, serves = "v1", "2.0.0"
				}
				began := time.Now()
				err := d.e.Upgrade(t.Context(), control.UpgradeRequest{To: to}, nil)
				took := time.Since(began)
				wantCode(t, err, tc.want, "")
				if e, ok := err.(*control.Error); ok && !inOrder(e.Message+"; "+e.Hint, tc.says) {
					t.Errorf("it says %q, %q; want %q", e.Message, e.Hint, tc.says)
				}
				if took < tc.within || took > tc.within+bound {
					t.Errorf("it took %s, the budget is %s", took, tc.within)
				}
				w.with(func() { w.script = nil })
				must(t, d.e.Wait(t.Context()))
				if p := w.serving("visits"); p == nil || p.pkg.Version != serves {
					t.Errorf("%+v serves", p)
				}
			})
		})
	}
}

// inOrder is true if the text has each part of want, which semicolons separate, in that order.
func inOrder(text, want string) bool {
	for part := range strings.SplitSeq(want, ";") {
		_, after, ok := strings.Cut(text, strings.TrimSpace(part))
		if !ok {
			return false
		}
		text = after
	}
	return true
}

// A version that has to be restarted must end within its budget too; it is ended by force then.
func TestBudgetOfAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scenario{before: one("2.0.0", restart1+budgets)}.set(t)
		d := w.boot()
		defer d.end()
		must(t, d.e.Boot(t.Context()))
		w.with(func() { w.calls, w.script = nil, on("stop visits 1.0.0", hang) })
		began := time.Now()
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil))
		if took := time.Since(began); took < 7*time.Second || took > 8*time.Second { // 4 s, and 3 s of probation
			t.Errorf("it took %s", took)
		}
		wantServing(t, w, d, "2.0.0", "permanent")
	})
}
