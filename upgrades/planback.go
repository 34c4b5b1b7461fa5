package upgrades

import (
	"fmt"
	"slices"

	"github.com/theseusd/theseus/sdk/control"
)

// planBack says what a rollback would do to the upgrade under way: before its commit it is called off, on probation the
// switch is taken back.
func (e *Engine) planBack(f *flight, to string) (control.Plan, error) {
	if to != "" && to != f.from {
		return control.Plan{}, e.busy()
	}
	var changes []change
	state := f.state()
	e.read(func(r *registry) {
		if r.upgrade != nil {
			changes = r.upgrade.changes
		}
	})
	if state == "" || state.Ended() || (state.Decided() && f.plan.NoReturn) {
		return control.Plan{}, e.busy()
	}
	p := control.Plan{From: f.to, To: f.from, Path: []string{f.to, orNothing(f.from)}, Down: true}
	if !state.Decided() {
		p.Steps = abortSteps(p, changes)
		return p, nil
	}
	for _, c := range slices.Backward(changes) {
		p.Steps = append(p.Steps, c.backSteps(p)...)
		if c.Config != "" {
			text := fmt.Sprintf("%s has the configuration of %s again: %s", c.From, p.To, e.configBack(c))
			p.Steps = append(p.Steps, control.PlanStep{Service: c.Service, Name: "config", Text: text})
		}
	}
	p.Steps = append(p.Steps, treeSteps(e.treeChanges(e.treeOf(f.to), e.treeOf(f.from)))...)
	p.Steps = append(p.Steps, control.PlanStep{Name: "rolled_back", Text: orNothing(f.from) + " is permanent as before"})
	for _, c := range changes {
		p.Steps = append(p.Steps, c.undoSteps(p)...)
	}
	return p, nil
}

func abortSteps(p control.Plan, changes []change) []control.PlanStep {
	list := []control.PlanStep{{Name: "aborted", Text: fmt.Sprintf("the upgrade to %s is called off; %s serves on", p.From, orNothing(p.To))}}
	for _, c := range changes {
		list = append(list, c.undoSteps(p)...)
	}
	return list
}

// backSteps are how a service goes back while its new version is on probation. The plan leads back, the change the other way.
func (c change) backSteps(p control.Plan) []control.PlanStep {
	step := control.PlanStep{Service: c.Service, Name: "switch"}
	switch c.Do {
	case doStart:
		step.Text = fmt.Sprintf("%s %s is to go again", c.Service, c.To)
	case doStop:
		step.Text = fmt.Sprintf("%s %s stays", c.Service, c.From)
	case doRestart:
		step.Text = fmt.Sprintf("stop %s %s, then start %s: connections are cut", c.Service, c.toName(p.From), c.fromName(p.To))
	default:
		step.Text = fmt.Sprintf("%s %s finishes what is in hand (up to %s) and lets go, %s, which stands by, serves; no write is lost",
			c.Service, c.toName(p.From), c.Drain, c.fromName(p.To))
	}
	return []control.PlanStep{step}
}

// undoSteps are what is taken away behind an upgrade that went back.
func (c change) undoSteps(p control.Plan) (list []control.PlanStep) {
	add := func(name, text string) {
		list = append(list, control.PlanStep{Service: c.Service, Name: name, Text: text})
	}
	for _, l := range c.Open {
		add("close", "close "+l)
	}
	if c.New != "" {
		add("stop", fmt.Sprintf("stop %s %s", c.Service, c.toName(p.From)))
	}
	return list
}
