package upgrades

import (
	"context"

	"github.com/theseusd/theseus/sdk/control"
)

// Rollback goes back to the release before. During a probation that is the switch the other way, at once; before the
// commit the upgrade is aborted; after it was made permanent it is an upgrade down. It returns nil when the release
// before serves. A To in the request, if it is another one, makes it an upgrade down
// to that; it is refused if it lies above.
func (e *Engine) Rollback(ctx context.Context, req control.UpgradeRequest, emit func(control.Event)) error {
	if f := e.current(); f != nil {
		if req.To != "" && req.To != f.from {
			return e.busy()
		}
		to := f.feeds.add()
		f.goBack(req.By)
		err := f.watch(ctx, to, emit)
		if s := f.outcome(); s == Aborted || s == RolledBack {
			return nil
		}
		if err != nil {
			return err
		}
	}
	to, err := e.targetBack(req.To)
	if err != nil {
		return err
	}
	req.To = to
	return e.Upgrade(ctx, req, emit)
}

// targetBack is where a rollback leads when nothing is under way: to the release before, or to one that is named and
// lies below.
func (e *Engine) targetBack(name string) (string, error) {
	if name == "" {
		before, err := e.releaseBefore()
		if err != nil {
			return "", err
		}
		name = before
	}
	if _, to, down, err := e.target(name); err != nil {
		return "", err
	} else if !down {
		return "", e.refuse(codeNoRelease, to+" is above what runs now", "that is an upgrade: reltool upgrade "+to)
	}
	return name, nil
}

func (e *Engine) releaseBefore() (string, error) {
	var before *numbered
	var now string
	e.read(func(r *registry) { before, now = r.before(), r.serving })
	if before == nil {
		return "", e.refuse(codeNoRelease, "there is no release before "+orNothing(now), "see: reltool releases")
	}
	return before.name, nil
}

// outcome is the state that the flight ended in, nothing before its end.
func (f *flight) outcome() State {
	select {
	case <-f.done:
		return f.last
	default:
		return ""
	}
}
