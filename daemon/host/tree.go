package host

import (
	"context"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// tree is all supervision of a host: the root, and under it what theseus.toml declares and every other service by itself.
//
//	root ── backend (one_for_all) ── limits, chat     a group that is declared
//	   └─── visits  (one_for_one) ── visits           a group of one service, with limits of its own
//
// One goroutine changes it, towards what was asked for last; nobody waits for a supervisor that is at work: see isFree.
type tree struct {
	host *Host
	root *supervise.Supervisor
	once sync.Once
	wake chan struct{}
	asks chan chan struct{} // to be closed when the tree is arranged
	over chan struct{}      // the root has ended

	mu     sync.Mutex
	want   release.Supervision
	order  []string // in which services start, as far as it is known
	groups map[string]*group
	force  standing
	start  time.Time // of the root
	now    shape     // where everything is
}

func newTree(h *Host) *tree {
	t := &tree{
		host: h, wake: make(chan struct{}, 1), asks: make(chan chan struct{}), over: make(chan struct{}),
		groups: map[string]*group{},
	}
	t.root, _ = supervise.New(rootFlags) // without children there is nothing to refuse
	return t
}

// rootFlags: what is under the root fails by itself and rests. Should its goroutine panic, it is started again.
var rootFlags = supervise.Flags{Intensity: math.MaxInt32}

// Supervise says how services are supervised from now on, and in which order they start. It takes effect by the names of
// the services and supervisors: no process is started or stopped for it. It does not wait.
func (h *Host) Supervise(s release.Supervision, order []string) {
	h.tree.mu.Lock()
	h.tree.want, h.tree.order = s, slices.Clone(order)
	h.tree.mu.Unlock()
	h.tree.nudge()
}

// begin runs the root, once there is something to supervise.
func (t *tree) begin() {
	t.once.Do(func() {
		t.mu.Lock()
		t.start = time.Now().UTC()
		t.mu.Unlock()
		up := make(chan struct{})
		go func() {
			defer close(t.over)
			_ = t.root.Run(t.host.going, func() { close(up) }) // it ends with the host
		}()
		go func() {
			select {
			case <-up:
				t.tend(t.host.going)
			case <-t.host.going.Done():
			}
		}()
	})
}

// ended returns when the root has stopped what is under it.
func (t *tree) ended(ctx context.Context) {
	t.once.Do(func() { close(t.over) }) // it never began
	select {
	case <-t.over:
	case <-ctx.Done():
	}
}

func (t *tree) began() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.start
}

func (t *tree) nudge() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *tree) tend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
			t.arrange(ctx)
		case arranged := <-t.asks:
			t.arrange(ctx)
			close(arranged)
		}
	}
}

// arrangePatience is how long a stop waits for the tree, whose order it goes by. A supervisor may be at work for minutes.
const arrangePatience = time.Second

// arranged returns when the tree is what was wanted last, or ctx has ended.
func (t *tree) arranged(ctx context.Context) {
	done := make(chan struct{})
	select {
	case t.asks <- done:
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// arrange makes the tree what is wanted, as far as no supervisor at work has to change for it. While one is to let go of something,
// the tree stays as it is, and what is new is supervised by itself.
func (t *tree) arrange(ctx context.Context) {
	want, whole := t.wanted(), true
	leaving := t.leaving(want)
	if !t.canLeave(ctx, leaving) {
		want, leaving, whole = t.unchanged(), nil, false
	}
	t.leave(ctx, leaving)
	t.raise(want)
	for _, name := range slices.Sorted(maps.Keys(want.above)) {
		whole = t.fit(ctx, t.group(name), want) && whole
	}
	if err := t.root.Change(ctx, rootFlags, t.tops(want)...); err != nil && ctx.Err() == nil {
		t.host.log.Error("the root cannot be changed", "error", err)
	}
	t.enter(ctx, want)
	if !whole {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.force = standing{want, t.groups}
}

// fit makes a group what it is to be; false if that is for later.
func (t *tree) fit(ctx context.Context, g *group, want shape) bool {
	t.describe(g, want)
	flags, children := t.flagsOf(g.name, want), t.children(g, want)
	gone := slices.ContainsFunc(t.under(g.name), t.isLoose) // perhaps with its specification, as what is temporary
	if g.fits(flags, children) && !gone {
		return true
	}
	if !t.isFree(ctx, g) {
		return false
	}
	changed, err := g.change(ctx, flags, children)
	if err != nil && ctx.Err() == nil {
		t.host.log.Error("a supervisor cannot be changed", "supervisor", g.name, "error", err)
	}
	if changed {
		g.rouse() // as another one it may do better
	}
	return true
}

// standing is a tree that is in force: the last one that was arranged to its end.
type standing struct {
	shape
	groups map[string]*group
}

// inForce returns that tree, and what is still to be arranged, in words.
func (t *tree) inForce() (now standing, pending []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.force, t.force.Changes(t.want)
}

// part is a service or a group that leaves the supervisor where it is.
type part struct {
	name string
	from *group // nil for the root
	sub  *group // nil for a service
}

// leaving lists what is no longer to be where it is.
func (t *tree) leaving(want shape) (list []part) {
	for name, at := range t.now.home {
		if want.home[name] != at || !t.keeps(at, want) {
			list = append(list, part{name: name, from: t.group(at)})
		}
	}
	for name, at := range t.now.above {
		if want.above[name] != at || !t.keeps(name, want) {
			list = append(list, part{name: name, from: t.group(at), sub: t.group(name)})
		}
	}
	return list
}

// canLeave is true if nobody has to be waited for. A group that ends in the middle of a start would have that end too.
func (t *tree) canLeave(ctx context.Context, list []part) bool {
	for _, p := range list {
		if p.from != nil && !t.isFree(ctx, p.from) {
			return false
		}
		if p.sub == nil {
			continue
		}
		for _, g := range t.inside(p.name) {
			if !t.isFree(ctx, g) {
				return false
			}
		}
	}
	return true
}

// leave takes services and groups out of where they are no longer to be. Their processes go on, unsupervised for a moment.
func (t *tree) leave(ctx context.Context, list []part) {
	for _, p := range list {
		sup, services := t.root, []string{p.name}
		if p.from != nil {
			sup = p.from.sup
			p.from.forget(p.name)
		}
		if p.sub == nil {
			t.host.service(p.name).settle(nil)
		} else {
			p.sub.settle("")
			p.sub.freshen(true)
			services = t.under(p.name)
		}
		t.move(ctx, sup, p.name, services...)
	}
}

// keeps is true if a group stays the one that it is: a service may have got the name of a supervisor, or the other way round.
func (t *tree) keeps(name string, want shape) bool {
	g := t.group(name)
	return g != nil && g.lone == want.isLone(name)
}

// move takes a child from its supervisor, and leaves the services that it is or has as they are. A supervisor that does not
// run has nothing to end.
func (t *tree) move(ctx context.Context, sup *supervise.Supervisor, id string, services ...string) {
	for _, name := range services {
		t.host.service(name).move()
	}
	_ = sup.TerminateChild(ctx, id)
	_ = sup.DeleteChild(ctx, id)
	for _, name := range services {
		t.host.service(name).loosen()
	}
}

// raise notes where everything is, and makes the groups that are missing.
func (t *tree) raise(want shape) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = want
	groups := map[string]*group{}
	for name := range want.above {
		if groups[name] = t.groups[name]; groups[name] == nil || groups[name].lone != want.isLone(name) {
			groups[name] = newGroup(t.host, name, want.isLone(name))
		}
	}
	t.groups = groups
	for name, at := range want.home {
		t.host.service(name).settle(groups[at])
	}
	for name, at := range want.above {
		groups[name].settle(at)
	}
}

// describe tells a group what it has to know of its children beside their specifications.
func (t *tree) describe(g *group, want shape) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members = want.Services
	if want.above[g.name] == release.Root {
		g.restart = want.Supervisors[g.name].Restart // permanent if it is lone
	}
}

func (t *tree) flagsOf(name string, want shape) supervise.Flags {
	if sup, declared := want.Supervisors[name]; declared {
		return sup.Flags()
	}
	s := t.host.service(name)
	s.mu.Lock()
	in := s.serving
	s.mu.Unlock()
	return t.host.flags(in)
}

// flags of a service's own supervisor are those of the version that is to serve.
func (h *Host) flags(in upgrades.Instance) supervise.Flags {
	r := appup.Restart{Intensity: appup.DefaultIntensity, Period: appup.Duration(appup.DefaultPeriod)}
	if in != nil {
		r = h.limits(in.Package())
	}
	return supervise.Flags{Intensity: r.Intensity, Period: wholeSeconds(r.Period.Std())}
}

// wholeSeconds rounds up: restarts are counted in whole seconds, as in OTP.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// children are the specifications of a group, in the order of starting.
func (t *tree) children(g *group, want shape) (list []member) {
	if g.lone {
		return []member{{ChildSpec: t.worker(g, g.name, want)}}
	}
	for _, name := range want.Supervisors[g.name].Children {
		if sub := t.group(name); sub != nil && want.above[name] == g.name {
			spec := sub.spec(g.name, sub.run)
			spec.Restart, spec.Significant = want.Supervisors[name].Restart, want.Supervisors[name].Significant
			list = append(list, member{spec, sub})
		} else if want.home[name] == g.name {
			list = append(list, member{ChildSpec: t.worker(g, name, want)})
		}
	}
	return list
}

func (t *tree) worker(g *group, name string, want shape) supervise.ChildSpec {
	s, m := t.host.service(name), want.Services[name]
	return supervise.ChildSpec{
		ID: name, Restart: m.Restart, Shutdown: m.Shutdown.Std(), Significant: m.Significant && !g.lone,
		Start: func(ctx context.Context) (supervise.Child, error) { return s.start(ctx, g) },
	}
}

// tops are the children of the root, in the order of starting.
func (t *tree) tops(want shape) (list []supervise.ChildSpec) {
	for _, name := range want.tops() {
		g := t.group(name)
		list = append(list, g.spec(release.Root, g.keep))
	}
	return list
}

// enter starts what is new where it is: groups from above, and services that were given while nobody had them.
func (t *tree) enter(ctx context.Context, want shape) {
	for _, name := range want.tops() {
		_, _ = t.root.RestartChild(ctx, name) // an error means that it runs
	}
	for _, name := range want.deep() {
		at, g := t.group(want.above[name]), t.group(name)
		if (g.isFresh() || slices.ContainsFunc(t.under(name), t.isLoose)) && t.isFree(ctx, at) {
			t.launch(ctx, at, g)
		}
	}
	for _, name := range want.order {
		at, s := t.group(want.home[name]), t.host.service(name)
		if t.isLeft(ctx, at, s) {
			s.loosen()
		}
		if s.isLoose() && t.isFree(ctx, at) {
			_, _ = at.sup.RestartChild(ctx, name)
		}
	}
	for name := range want.above {
		t.group(name).settled()
	}
}

func (t *tree) isLoose(service string) bool { return t.host.service(service).isLoose() }

func (t *tree) group(name string) *group {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.groups[name]
}

// inside lists a group and those under it.
func (t *tree) inside(name string) (list []*group) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for own, g := range t.groups {
		for at := own; at != release.Root && at != ""; at = t.now.above[at] {
			if at == name {
				list = append(list, g)
			}
		}
	}
	return list
}

// under lists the services of a group, and of those in it.
func (t *tree) under(name string) (list []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for service, at := range t.now.home {
		for ; at != release.Root && at != ""; at = t.now.above[at] {
			if at == name {
				list = append(list, service)
			}
		}
	}
	slices.Sort(list)
	return list
}

// given takes note that a service was given: what rests above it begins again.
func (t *tree) given(s *service) {
	t.mu.Lock()
	at := t.now.home[s.name]
	for t.now.above[at] != release.Root && t.now.above[at] != "" {
		at = t.now.above[at]
	}
	top := t.groups[at]
	t.mu.Unlock()
	if top != nil {
		top.rouse()
	}
	t.nudge() // the restart limits are those of what serves now
}

// cause is the end of something else for which a service is to be stopped, "" if there is none.
func (t *tree) cause(service string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	below := service
	for at := t.now.home[service]; at != release.Root && at != ""; at = t.now.above[at] {
		if because := t.groups[at].because(below); because != "" {
			return because
		}
		below = at
	}
	return ""
}
