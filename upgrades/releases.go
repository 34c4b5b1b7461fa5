package upgrades

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// Build makes the next release: what serves now, with pkgs in place of or beside it, without the services to remove, and
// with the settings that the operator wants now. A set that serves, or is the newest release, is not made again. What a version does
// not cover is refused: no appup from or to the version that serves, a changed schema without a Step, a table, verb or
// listener that is gone without a word. So is a requirement that the release itself does not fulfil, and a cycle of
// requirements. Of what is refused nothing stays in the store.
func (e *Engine) Build(ctx context.Context, pkgs []release.Package, by string, remove ...string) (control.Built, error) {
	built, err := e.build(ctx, pkgs, by, remove)
	if err != nil {
		e.Discard(pkgs)
	}
	return built, err
}

func (e *Engine) build(ctx context.Context, pkgs []release.Package, by string, remove []string) (control.Built, error) {
	var base string
	e.read(func(r *registry) { base = r.serving })
	from, err := e.load(base)
	if err != nil {
		return control.Built{}, err
	}
	if err := e.checkVersions(pkgs); err != nil {
		return control.Built{}, err
	}
	to, err := e.replace(from, pkgs, remove)
	if err != nil {
		return control.Built{}, err
	}
	built := control.Built{From: base}
	decided, err := e.decide(from, to)
	if err != nil {
		return built, err
	}
	built.Warnings, built.Supervision = decided.Warnings, e.treeChanges(e.treeOf(base), decided.Tree)
	if built.Changes, err = e.changes(from, to); err != nil {
		return built, err
	}
	built.Warnings = append(built.Warnings, e.noWayBack(from, to)...)
	if err := context.Cause(ctx); err != nil {
		return built, err
	}
	e.shelf.Lock()
	defer e.shelf.Unlock()
	if err := errors.Join(e.onShelf(pkgs), e.checkVersions(pkgs)); err != nil {
		return built, err
	}
	parts := servicesOf(built.Changes)
	built.To, built.New, err = e.number(to, decided.Tree, record{Event: control.Event{Kind: Built, From: base, By: by, Parts: parts}})
	return built, err
}

// onShelf refuses packages that were removed since they were looked at. The caller holds shelf.
func (e *Engine) onShelf(pkgs []release.Package) error {
	for _, p := range pkgs {
		if _, err := e.packageOf(p.Name, itemOf(p)); err != nil {
			return err
		}
	}
	return nil
}

// load finds the packages of a release; none for "".
func (e *Engine) load(name string) (packages, error) {
	var set map[string]item
	e.read(func(r *registry) { set = r.set(name) })
	ps := packages{}
	for service, it := range set {
		p, err := e.packageOf(service, it)
		if err != nil {
			return nil, fmt.Errorf("release %s: %w", name, err)
		}
		ps[service] = p
	}
	return ps, nil
}

// loadSome is load that has a package with nothing but its name for each that cannot be read: its process may run, and
// the host tries to start it until the file is good again.
func (e *Engine) loadSome(name string) (packages, error) {
	var set map[string]item
	e.read(func(r *registry) { set = r.set(name) })
	ps := packages{}
	var errs []error
	for service, it := range set {
		p, err := e.packageOf(service, it)
		if err != nil {
			errs = append(errs, err)
			p = release.Package{Name: service, Version: it.Version, Digest: it.Digest, Settings: it.Settings}
		}
		ps[service] = p
	}
	return ps, errors.Join(errs...)
}

// replace puts pkgs over the services of from, takes some away, and checks what comes out.
func (e *Engine) replace(from packages, pkgs []release.Package, remove []string) (packages, error) {
	to, given := maps.Clone(from), map[string]string{}
	for _, name := range remove {
		if _, there := from[name]; !there {
			return nil, e.refuse(codeNoRelease, "there is no service "+name+" to remove",
				"the services are "+strings.Join(from.names(), ", "))
		}
		delete(to, name)
	}
	for _, p := range pkgs {
		if other, twice := given[p.Name]; twice && to[p.Name].Digest != p.Digest {
			text := fmt.Sprintf("%s is given twice: %s and %s", p.Name, other, p.Version)
			return nil, e.refuse(codeBadPackage, text, "give one package of each service")
		}
		if slices.Contains(remove, p.Name) {
			return nil, e.refuse(codeBadPackage, p.Name+" is given and is to be removed", "do one of both")
		}
		given[p.Name] = p.Version
		to[p.Name] = p
	}
	if len(to) == 0 && len(remove) > 0 {
		return nil, e.refuse(codeNoRelease, "no service would be left", "a release has one at least; to end all, stop theseusd")
	}
	if len(to) == 0 {
		return nil, e.refuse(codeNoRelease, "there is no package to make a release of", "reltool build FILE...")
	}
	return to, e.checkSet(to)
}

// checkSet refuses services that do not fit together.
func (e *Engine) checkSet(ps packages) error {
	set := make([]*appup.Manifest, 0, len(ps))
	for _, name := range ps.names() {
		set = append(set, ps[name].Manifest)
	}
	if err := appup.CheckRequires(set); err != nil {
		return e.refuse(codeRequires, err.Error(), "build a release of versions that fit together")
	}
	return nil
}

// changes tells how to differs from from.
func (e *Engine) changes(from, to packages) ([]control.Change, error) {
	var list []control.Change
	for _, name := range to.names() {
		old, was := from[name]
		if was && itemOf(old).same(itemOf(to[name])) {
			continue
		}
		ch := control.Change{Service: name, From: old.Version, To: to[name].Version}
		if was {
			detail, err := e.detail(old, to[name])
			if err != nil {
				return nil, err
			}
			ch.Detail = detail
		}
		list = append(list, ch)
	}
	for _, name := range from.names() {
		if _, stays := to[name]; !stays {
			list = append(list, control.Change{Service: name, From: from[name].Version})
		}
	}
	return list, nil
}

func (e *Engine) detail(from, to release.Package) ([]string, error) {
	if from.Digest == to.Digest {
		return e.changeOfSettings(from, to).detail(), nil
	}
	relup, err := e.compile(from, to)
	if err != nil {
		return nil, e.refuseAppup(err)
	}
	return e.differ(changeOf(relup, from, to), from, to).detail(), e.worn(to)
}

// number gives a set and its tree a release, a new one unless an upgrade would lead to it already.
func (e *Engine) number(ps packages, tree release.Tree, rec record) (name string, fresh bool, err error) {
	e.quiet.Lock()
	defer e.quiet.Unlock()
	set := ps.set()
	var known *numbered
	e.read(func(r *registry) { known, name = r.same(set, tree), r.nextName() })
	if known != nil {
		return known.name, false, nil
	}
	rec.To, rec.Text, rec.Set, rec.Tree = name, ps.text(), set, tree
	if _, err = e.append(rec); err != nil {
		return "", false, err
	}
	return name, true, nil
}

func servicesOf(changes []control.Change) []string {
	list := make([]string, 0, len(changes))
	for _, c := range changes {
		list = append(list, c.Service)
	}
	return list
}

func (ps packages) set() map[string]item {
	set := make(map[string]item, len(ps))
	for name, p := range ps {
		set[name] = itemOf(p)
	}
	return set
}

func (ps packages) text() string {
	var text []byte
	for i, name := range ps.names() {
		if i > 0 {
			text = append(text, ", "...)
		}
		text = append(text, name+" "+ps[name].Version...)
	}
	return string(text)
}

func itemOf(p release.Package) item {
	return item{Version: p.Version, Digest: p.Digest, Seq: p.Seq, Settings: p.Settings}
}

// drawChanges lists what goes from one set to another, in the order of the switch: upwards a service comes after
// those it requires, downwards before them; what goes altogether comes last.
func (e *Engine) drawChanges(from, to packages, down bool) ([]change, error) {
	order, gone := to.order(), from.order()
	if down {
		slices.Reverse(order)
	}
	slices.Reverse(gone)
	var list []change
	for _, name := range order {
		c, err := e.draw(from, to, name)
		if err != nil {
			return nil, err
		}
		if c.Do != "" {
			list = append(list, c)
		}
	}
	for _, name := range gone {
		if _, stays := to[name]; !stays {
			old := from[name]
			c := change{Service: name, Do: doStop, From: old.Version, Old: old.Digest}
			list = append(list, e.differ(c, old, release.Package{Name: name}))
		}
	}
	return list, nil
}

// draw is what happens to one service of to; nothing if it stays as it is.
func (e *Engine) draw(from, to packages, name string) (change, error) {
	old, was := from[name]
	now := to[name]
	switch {
	case !was:
		return e.differ(startOf(now), release.Package{Name: name}, now), nil
	case itemOf(old).same(itemOf(now)):
		return change{}, nil
	case old.Digest == now.Digest:
		return e.changeOfSettings(old, now), nil
	}
	relup, err := e.compile(old, now)
	if err != nil {
		return change{}, e.refuseAppup(err)
	}
	if err := e.worn(now); err != nil {
		return change{}, err
	}
	return e.differ(changeOf(relup, old, now), old, now), nil
}

// startOf is how a service comes that was not there.
func startOf(p release.Package) change {
	return change{
		Service: p.Name, Do: doStart, To: p.Version, New: p.Digest, Seq: p.Seq,
		Probation: appup.DefaultProbation, Health: orDefault(p.Manifest.Probation.Health.Std(), appup.DefaultHealth),
		Limits: p.Manifest.Probation.Limits(), Budget: p.Manifest.Budget,
	}
}

// Failure of a release is that it was rolled back by itself.
type Failure struct {
	Release string
	Time    time.Time
	Reason  string
}

// LastFailure is of the last upgrade, if that was rolled back by itself; an upgrade that ends well ends it.
func (e *Engine) LastFailure() (f Failure, failed bool) {
	e.read(func(r *registry) {
		if r.lost != nil {
			f, failed = *r.lost, true
		}
	})
	return f, failed
}
