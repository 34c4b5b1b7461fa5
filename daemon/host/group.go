package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/daemon/audit"
	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/upgrades/release"
)

// failedRest is how long a child of the root that failed is left alone: what it lacked, as disk space, may be there again.
const failedRest = 30 * time.Second

// What to do about it: of what is tried again, and of what is not.
const (
	failedHint = "if it does not come up by itself: reltool rollback, or an upgrade to a better version"
	endedHint  = "its restart type has it stay down until an upgrade or a rollback starts one of its services"
)

// group is one supervisor: of theseus.toml, or the one that a service has for itself under the root.
type group struct {
	host *Host
	name string
	lone bool // its one child is the service of the same name
	sup  *supervise.Supervisor

	mu       sync.Mutex
	above    string // its supervisor
	restart  supervise.Restart
	flags    supervise.Flags
	changed  bool // its strategy or its children, since somebody last entered
	busy     bool // its supervisor is at work, and somebody waits for it
	fresh    bool // it is to be started where it has come to
	children []member
	members  map[string]release.Member
	culprit  string // the child for whose sake others are restarted, or the group ends
	verb     string // what it did: failed, or ended
	why      string
	ended    string // how the child did that ended last, and is not started again
	state    string
	since    time.Time // of running
	restarts int
	resting  chan struct{} // ends a rest when it is closed; nil while there is none
}

func newGroup(h *Host, name string, lone bool) *group {
	g := &group{host: h, name: name, lone: lone, state: stateStarting, fresh: true}
	g.sup, _ = supervise.New(supervise.Flags{}) // without children there is nothing to refuse
	return g
}

// change makes the group what it is to be, by the IDs of its children: none is started or stopped for it. changed is true if it
// is another one now, not just one with other limits.
func (g *group) change(ctx context.Context, flags supervise.Flags, children []member) (changed bool, err error) {
	flags.Report = g.heed
	if err := g.sup.Change(ctx, flags, specs(children)...); err != nil {
		return false, err
	}
	for _, m := range children {
		if m.sub != nil {
			m.sub.become(m.Restart) // not before: it goes by what its supervisor does
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changed = g.changed || g.flags.Strategy != flags.Strategy || !slices.EqualFunc(g.children, children, sameID)
	g.flags, g.children = flags, children
	return g.changed, nil
}

// heed is told by the supervisor what it acts upon.
func (g *group) heed(r supervise.Report) {
	if sub := g.sub(r.ID); sub != nil && r.Event == supervise.Ended {
		sub.abandon(outcome(r.Reason), sub.blame(r.Reason)) // not before: what it is declared to be may have changed meanwhile
	}
	if r.Event != supervise.Stopped && r.Event != supervise.StopFailed {
		g.isAwaited() // it is at work: who is given from now on may be given to one that is ending
	}
	if r.Event == supervise.Ended {
		g.host.tree.nudge() // somebody may have been given since, and is to be started again
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch r.Event {
	case supervise.Exited, supervise.StartFailed:
		g.culprit, g.verb, g.why = r.ID, stateFailed, fmt.Sprint(r.Reason)
		if errors.Is(r.Reason, supervise.ErrIntensity) {
			g.why = "too many restarts did not help it"
		}
	case supervise.Ended:
		g.ended = fmt.Sprint(r.Reason)
	case supervise.GaveUp:
		if errors.Is(r.Reason, supervise.ErrAutoShutdown) {
			g.culprit, g.verb, g.why = r.ID, stateEnded, g.ended
		}
	case supervise.Started:
		g.culprit = ""
	default:
	}
}

// sub is the group that is a child of that name; nil if it is none.
func (g *group) sub(name string) *group {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range g.children {
		if m.sub != nil && m.ID == name {
			return m.sub
		}
	}
	return nil
}

func (g *group) member(service string) release.Member {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.members[service]
}

// again is true if the service is started again after such an end.
func (g *group) again(service string, orderly bool) bool { return g.member(service).Restarted(orderly) }

// settle says which supervisor the group is under. No other one starts it.
func (g *group) settle(above string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.above = above
}

func (g *group) isUnder(above string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.above == above
}

// spec is the group as a child of the supervisor above it.
func (g *group) spec(above string, run func(ctx context.Context, ready func()) error) supervise.ChildSpec {
	start := supervise.Go(run)
	return supervise.ChildSpec{ID: g.name, Kind: supervise.IsSupervisor, Start: func(ctx context.Context) (supervise.Child, error) {
		if !g.isUnder(above) {
			return nil, supervise.ErrIgnore
		}
		return start(ctx)
	}}
}

// begins is true if the group is started again after such an end, by its restart type as any other child.
func (g *group) begins(err error) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.restart == supervise.Permanent || (g.restart == supervise.Transient && !errors.Is(err, supervise.ErrShutdown))
}

func (g *group) become(r supervise.Restart) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.restart = r
}

func (g *group) isTemporary() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.restart == supervise.Temporary
}

// run is a supervisor under another one, which starts it again or does not.
func (g *group) run(ctx context.Context, ready func()) error {
	err := g.sup.Run(ctx, func() { g.up(); ready() })
	g.is(stateRestarting)
	if ctx.Err() != nil {
		if g.isTemporary() {
			g.abandon(stateEnded, "") // it was stopped with others, and is gone after that
		}
		return err
	}
	g.tellUp(err)
	return err
}

// abandon lets services go that are not started again with this group: whoever gives one of them starts it, or has done so
// while the group was ending.
func (g *group) abandon(state, reason string) {
	for _, sub := range g.host.tree.inside(g.name) {
		sub.is(state)
	}
	for _, name := range g.host.tree.under(g.name) {
		g.host.service(name).abandon(state, reason)
	}
}

// keep is a child of the root. One that ends by itself rests, and is started again if it is such a child: it takes nobody else
// with it. A service that is given ends the rest, also if it was given while the group was ending.
func (g *group) keep(ctx context.Context, ready func()) error {
	ready()
	for {
		err := g.sup.Run(ctx, g.up)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rested := g.rest(outcome(err))
		g.fail(err)
		if g.isAwaited() {
			g.rouse()
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-rested:
		case <-g.due(err):
		}
		g.afresh()
	}
}

// due fires when a group that has ended is to be started again; never if that is not for it to be.
func (g *group) due(err error) <-chan time.Time {
	if !g.begins(err) {
		return nil
	}
	return time.After(failedRest)
}

// isAwaited is true once after a service was given while the group was ending.
func (g *group) isAwaited() (awaited bool) {
	for _, name := range g.host.tree.under(g.name) {
		awaited = g.host.service(name).wasGiven() || awaited
	}
	return awaited
}

func (g *group) rest(state string) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.resting, g.state = make(chan struct{}), state
	return g.resting
}

// outcome is what a group is after such an end, and its services with it.
func outcome(err error) string {
	if errors.Is(err, supervise.ErrAutoShutdown) {
		return stateEnded
	}
	return stateFailed
}

// rouse ends a rest.
func (g *group) rouse() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.resting != nil {
		close(g.resting)
		g.resting = nil
	}
}

func (g *group) afresh() {
	g.mu.Lock()
	g.resting = nil
	g.mu.Unlock()
	g.is(stateRestarting)
}

func (g *group) up() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != stateStarting {
		g.restarts++
	}
	g.state, g.since = stateRunning, time.Now().UTC()
}

// beginsAgain is true from the end of the supervisor until it is up again: what it finds dead then it has to start, and does not
// count as a failure.
func (g *group) beginsAgain() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state == stateRestarting || g.state == stateFailed || g.state == stateEnded
}

func (g *group) is(state string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state = state
}

// reason says why the supervisor has ended by itself.
func (g *group) reason(err error) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	how := g.why
	if !g.lone && g.culprit != "" {
		how = g.culprit + ": " + how
	}
	if errors.Is(err, supervise.ErrAutoShutdown) {
		return "its significant child " + how
	}
	if errors.Is(err, supervise.ErrIntensity) {
		return release.LimitText(max(g.flags.Intensity, 0), g.flags.Period) + " did not help: " + how
	}
	var start *supervise.StartError
	if errors.As(err, &start) && g.lone {
		return fmt.Sprintf("it does not come up: %v", start.Err)
	}
	if errors.As(err, &start) {
		return fmt.Sprintf("%s does not come up: %v", start.ID, start.Err)
	}
	return fmt.Sprint(err)
}

// fail tells that the group has ended by itself, and its services with it.
func (g *group) fail(err error) {
	version, again := "", time.Time{}
	if g.begins(err) {
		again = time.Now().UTC().Add(failedRest)
	}
	for _, sub := range g.host.tree.inside(g.name) {
		sub.is(outcome(err))
	}
	for _, name := range g.host.tree.under(g.name) {
		if v, down := g.host.service(name).down(outcome(err), g.blame(err), again); down {
			version = v
		}
	}
	g.tellRest(err, version)
}

// blame is the reason of the services.
func (g *group) blame(err error) string {
	if g.lone {
		return g.reason(err)
	}
	return fmt.Sprintf("supervisor %s has %s: %s", g.name, outcome(err), g.reason(err))
}

// tellUp is for the log and the history, of a supervisor under another one, which decides.
func (g *group) tellUp(err error) {
	g.host.log.Error("supervisor "+outcome(err), "supervisor", g.name, "reason", g.reason(err))
	g.host.o.Note(g.event(err))
}

// event is the end of a group.
func (g *group) event(err error) control.Event {
	e := control.Event{Kind: audit.Failed, Text: "supervisor " + g.name, Parts: g.host.tree.under(g.name), Reason: g.reason(err)}
	if outcome(err) == stateEnded {
		e.Kind = audit.Stopped
	}
	return e
}

// tellRest is for the log and the history, of what is right under the root.
func (g *group) tellRest(err error, version string) {
	e := g.event(err)
	if g.lone {
		e.Service, e.Text, e.Parts = g.name, version, nil
	}
	when := failedRest.String()
	e.Hint = failedHint
	if !g.begins(err) {
		when, e.Hint = "never by itself", endedHint
	}
	g.host.log.Error(strings.ToUpper(outcome(err)), "what", g.name, "version", version, "reason", e.Reason, "again_in", when, "hint", e.Hint)
	g.host.o.Note(e)
}

// because says for what this group restarts a child, "" if for nothing or for itself.
func (g *group) because(child string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.culprit == "" || g.culprit == child {
		return ""
	}
	return fmt.Sprintf("%s %s: %s", g.culprit, g.verb, g.why)
}
