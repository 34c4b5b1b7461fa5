package upgrades

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// What each step may take, unless the manifest has another budget for it. While nobody serves the budgets are short;
// beside a serving version they only have to end.
const (
	startBudget    = 5 * time.Minute
	listenBudget   = 10 * time.Second
	rehearseBudget = 30 * time.Minute
	shadowBudget   = 30 * time.Minute
	pairBudget     = 10 * time.Second
	followBudget   = time.Minute
	switchBudget   = time.Second // to let go, with all tries, and again to take over
	backBudget     = 5 * time.Second
	statusBudget   = 5 * time.Second
	healthBudget   = 5 * time.Second
	settleBudget   = 10 * time.Second
	stopBudget     = 10 * time.Second
	forceBudget    = 50 * time.Millisecond // then by force
)

// How often something is looked at or tried again.
const (
	lagPoll    = 20 * time.Millisecond
	busyPause  = 20 * time.Millisecond  // clients that were held back are served in it
	startPause = 200 * time.Millisecond // between two tries to bring a version back
	startTries = 3

	settleFirst = time.Second // until a version that did not settle is asked again; doubled each time
	settleLast  = 30 * time.Second
)

// maxLag is how far a standby may be behind when the switch begins.
const maxLag = 64 << 10

// budgetKeys are the keys of [budget] that a step can be given more time with.
var budgetKeys = map[string]string{
	stepStart: "start", stepShadow: "shadow", stepRehearse: "rehearse", stepFollow: "follow", stepLetGo: "switch",
	stepTakeOver: "take_over", stepStop: "stop",
}

// forStart and its like are the budgets of a service's steps.
func (m *move) forStart() time.Duration    { return orDefault(m.Budget.Start.Std(), startBudget) }
func (m *move) forShadow() time.Duration   { return orDefault(m.Budget.Shadow.Std(), shadowBudget) }
func (m *move) forRehearse() time.Duration { return orDefault(m.Budget.Rehearse.Std(), rehearseBudget) }
func (m *move) forFollow() time.Duration   { return orDefault(m.Budget.Follow.Std(), followBudget) }
func (m *move) forLetGo() time.Duration {
	return orDefault(m.Budget.Switch.Std(), max(switchBudget, m.Drain))
}

func (m *move) forTakeOver() time.Duration { return orDefault(m.Budget.TakeOver.Std(), switchBudget) }
func (m *move) forStop() time.Duration     { return orDefault(m.Budget.Stop.Std(), stopBudget) }

// forComeBack is for taking over where there is nothing to go back to, or nobody serves already.
func (m *move) forComeBack() time.Duration { return max(backBudget, m.Budget.TakeOver.Std()) }

// lateError ends a step that was not done within its budget.
type lateError struct{ budget time.Duration }

func (e *lateError) Error() string { return fmt.Sprintf("not done within its budget of %s", e.budget) }
func (e *lateError) Unwrap() error { return context.DeadlineExceeded }

// within runs do with a budget. If the budget or ctx ended it, the error says so.
func within(ctx context.Context, budget time.Duration, do func(ctx context.Context) error) error {
	late := &lateError{budget}
	ctx, stop := context.WithTimeoutCause(ctx, budget, late)
	defer stop()
	err := do(ctx)
	if err != nil && ctx.Err() != nil {
		if cause := context.Cause(ctx); !errors.Is(err, cause) {
			return fmt.Errorf("%w (%w)", cause, err)
		}
	}
	return err
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
