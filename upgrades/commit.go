package upgrades

import (
	"context"
	"fmt"
	"strings"

	"github.com/theseusd/theseus/sdk/control"
)

// Commit ends the probation of the upgrade under way: its release is permanent when Commit returns nil. A probation that
// is held has no other good end. Before the probation, and after it, it is refused.
func (e *Engine) Commit(ctx context.Context, req control.UpgradeRequest, emit func(control.Event)) error {
	f := e.current()
	if f == nil || f.outcome() != "" {
		return e.refuseCommit()
	}
	if req.To != "" && req.To != f.to {
		return e.refuse(codeNoTrial, fmt.Sprintf("%s is not in probation, %s is", req.To, f.to), "see: reltool status")
	}
	if f.state() != Probation {
		return e.tooEarly(f)
	}
	to := f.feeds.add()
	f.goOn(req.By)
	return f.watch(ctx, to, emit)
}

// goOn ends the probation of the flight, once.
func (f *flight) goOn(by string) {
	f.approve.Do(func() {
		f.approver = by
		close(f.approved)
	})
}

// makePermanent journals the end of the probation, and who has ended it if it did not come to its end by itself.
func (f *flight) makePermanent() error {
	ev := f.event(string(Permanent))
	select {
	case <-f.approved:
		ev.By, ev.Text = f.approver, "committed by "+orSomebody(f.approver)
	default:
	}
	if text := f.trialText(); text != "" {
		ev.Text = strings.TrimPrefix(ev.Text+"; "+text, "; ")
	}
	return f.journal(record{Event: ev})
}

func orSomebody(by string) string {
	if by == "" {
		return "somebody"
	}
	return by
}

// refuseCommit says that there is no probation, and why.
func (e *Engine) refuseCommit() error {
	name, status := e.Current()
	if name == "" {
		return e.refuse(codeNoTrial, "there is no probation to end: no release runs yet", "build one with: reltool build")
	}
	return e.refuse(codeNoTrial, fmt.Sprintf("there is no probation to end: %s is %s", name, status), "see: reltool history")
}

// tooEarly refuses to commit what does not serve yet, or no more.
func (e *Engine) tooEarly(f *flight) error {
	if s := f.state(); s != "" && !s.Ended() {
		return e.refuse(codeBusy, fmt.Sprintf("the upgrade from %s to %s is not in probation but %s", orNothing(f.from), f.to, s),
			"wait for its probation: reltool status")
	}
	return e.refuseCommit()
}

// checkEnd refuses an end of the probation that this plan cannot have.
func (e *Engine) checkEnd(p control.Plan) error {
	switch {
	case p.Hold && p.NoProbation:
		return e.refuse(codeBadRequest, "a probation cannot be held and left out", "ask for one of hold and no_probation")
	case p.Hold && p.NoReturn:
		return e.refuse(codeNoReturn, fmt.Sprintf("the upgrade to %s cannot be held: it is irreversible, there is no way back from it", p.To),
			"without --hold it is permanent right after the switch")
	}
	return nil
}
