package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

// By is the name under which the folder acts in the history.
const By = "releases/"

// Store takes package files in.
type Store interface {
	Add(ctx context.Context, path string) (release.Package, error)
}

// Engine is what the policy asks of upgrades.
type Engine interface {
	Build(ctx context.Context, pkgs []release.Package, by string, remove ...string) (control.Built, error)
	Boot(ctx context.Context) error
	Plan(ctx context.Context, r control.PlanRequest) (control.Plan, error)
	Upgrade(ctx context.Context, r control.UpgradeRequest, emit func(control.Event)) error
	Releases() []control.Release
	Removed(service, version string) bool
	Discard(pkgs []release.Package) // those that have come for nothing
	Seq(service string) int64       // the highest that has been permanent
}

// Rule is what theseus.toml says of one service.
type Rule struct {
	Auto       bool   // upgrade by itself; else a release is only announced
	Constraint string // semver range that Auto is bound to; any version but pre-releases if empty
}

// Rules are what theseus.toml says of the drop folder, read once.
type Rules interface {
	Allows(service string) bool // it is taken at all
	Rule(service string) Rule
}

// everything is taken, and nothing upgraded to.
type everything struct{}

func (everything) Allows(string) bool { return true }
func (everything) Rule(string) Rule   { return Rule{} }

// Policy makes releases out of dropped packages. Its Handle is the Handler of a Folder.
//
// Of one service the highest version of those that came together counts, a pre-release only if there is no other. A version that is in some release already
// makes no new one, so a package that was rolled back or removed is not tried again because it still lies in the folder. The
// first release of an empty instance is started at once. Any other one is applied only if every change in it is
// upwards, within a rule that says auto, and signed later than all that has been permanent here; else the log announces
// it.
type Policy struct {
	Store  Store
	Engine Engine
	Read   func() Rules // the rules as they are now; everything is taken, and never auto, if nil
	Logger *slog.Logger // nothing is logged if nil
}

// Handle is a Handler. The rules are read once for all that comes together.
func (p *Policy) Handle(ctx context.Context, paths []string) map[string]error {
	rules := p.rules()
	refused := map[string]error{}
	best := map[string]arrival{}
	var spare []release.Package
	for _, path := range paths {
		if name, version, ok := split(filepath.Base(path)); ok && p.Engine.Removed(name, version.Original()) {
			p.log().Info("package belongs to a release that was removed", "package", filepath.Base(path))
			continue
		}
		if err := permit(rules, path); err != nil {
			refused[path] = err
			continue
		}
		pkg, err := p.Store.Add(ctx, path)
		if err != nil {
			refused[path] = err
			continue
		}
		old, ok := best[pkg.Name]
		if ok && !better(pkg.Version, old.pkg.Version) {
			spare = append(spare, pkg)
			continue
		}
		if ok {
			spare = append(spare, old.pkg)
		}
		best[pkg.Name] = arrival{path, pkg}
	}
	p.Engine.Discard(spare)
	p.release(ctx, rules, p.unknown(best), refused)
	return refused
}

// permit refuses what the operator does not want from the folder. The name of a file is that of its package, else the
// store refuses it.
func permit(rules Rules, path string) error {
	name, _, _ := release.ParseFileName(path)
	if rules.Allows(name) {
		return nil
	}
	return &release.RejectError{
		File: filepath.Base(path), Reason: "theseus.toml does not allow " + name + " in the drop folder",
		Hint: "add it to allow in [releases], and drop the package again; or hand it in with reltool build",
	}
}

// arrival is a package in the store and the file it came from.
type arrival struct {
	path string
	pkg  release.Package
}

// unknown drops the versions that some release has already.
func (p *Policy) unknown(best map[string]arrival) []arrival {
	var fresh []arrival
	for _, a := range best {
		if in := p.releaseWith(a.pkg); in != "" {
			p.log().Info("package is part of a release already", "package", filepath.Base(a.path), "release", in)
			continue
		}
		fresh = append(fresh, a)
	}
	return fresh
}

func (p *Policy) releaseWith(pkg release.Package) string {
	for _, r := range p.Engine.Releases() {
		if r.Services[pkg.Name] == pkg.Version {
			return r.Name
		}
	}
	return ""
}

// release builds one and goes on as the rules say. What the engine refuses for good is a bad package.
func (p *Policy) release(ctx context.Context, rules Rules, fresh []arrival, refused map[string]error) {
	if len(fresh) == 0 {
		return
	}
	var pkgs []release.Package
	for _, a := range fresh {
		pkgs = append(pkgs, a.pkg)
	}
	built, err := p.Engine.Build(ctx, pkgs, By)
	if err != nil {
		for _, a := range fresh {
			refused[a.path] = forGood(a.path, err)
		}
		return
	}
	for _, w := range built.Warnings {
		p.log().Warn(w)
	}
	if err := p.apply(ctx, rules, built, fresh); err != nil {
		p.log().Error("the release could not be applied", "release", built.To, "error", err)
	}
}

// passing are the codes of refusals that do not lie in the package.
var passing = []string{"busy", "bad_config", "internal"}

// forGood tells what a later try cannot mend.
func forGood(path string, err error) error {
	var no *control.Error
	if !errors.As(err, &no) || slices.Contains(passing, no.Code) {
		return err
	}
	return &release.RejectError{File: filepath.Base(path), Reason: no.Message, Hint: no.Hint, Err: err}
}

func (p *Policy) apply(ctx context.Context, rules Rules, built control.Built, fresh []arrival) error {
	switch {
	case built.From == "":
		p.log().Info("first release", "release", built.To)
		return p.Engine.Boot(ctx)
	case !built.New:
		return nil
	case p.old(fresh):
		p.log().Warn(fmt.Sprintf("release %s was signed before what has served here; to go there all the same: reltool upgrade %[1]s", built.To),
			"release", built.To)
		return nil
	case !p.auto(rules, built.Changes):
		p.log().Info(fmt.Sprintf("release %s is ready: reltool upgrade", built.To), "release", built.To)
		return nil
	}
	return p.upgrade(ctx, built.To)
}

// old is true if something among it was signed before what has been permanent here: it may be an old package that somebody
// plays back.
func (p *Policy) old(fresh []arrival) bool {
	return slices.ContainsFunc(fresh, func(a arrival) bool { return a.pkg.Seq < p.Engine.Seq(a.pkg.Name) })
}

// upgrade does exactly the plan it has seen, with its whole probation and nobody who would have to end that.
func (p *Policy) upgrade(ctx context.Context, to string) error {
	plan, err := p.Engine.Plan(ctx, control.PlanRequest{To: to})
	if err != nil {
		return err
	}
	p.log().Info("upgrading", "from", plan.From, "to", to)
	request := control.UpgradeRequest{To: to, Digest: plan.Digest, By: By}
	return p.Engine.Upgrade(ctx, request, func(control.Event) {})
}

// auto is true if every change goes up and is allowed.
func (p *Policy) auto(rules Rules, changes []control.Change) bool {
	for _, c := range changes {
		if c.To == "" || (c.From != "" && !higher(c.To, c.From)) || !p.allows(rules.Rule(c.Service), c.To) {
			return false
		}
	}
	return len(changes) > 0
}

func (p *Policy) allows(rule Rule, version string) bool {
	if !rule.Auto {
		return false
	}
	within, err := semver.NewConstraint(cmp.Or(rule.Constraint, "*"))
	if err != nil {
		p.log().Error("upgrade rule is no semver range", "version", version, "range", rule.Constraint, "error", err)
		return false
	}
	v, err := semver.NewVersion(version)
	return err == nil && within.Check(v)
}

// better prefers what is no pre-release, then what is higher.
func better(a, b string) bool {
	if pre := preRelease(a); pre != preRelease(b) {
		return !pre
	}
	return higher(a, b)
}

func preRelease(version string) bool {
	v, err := semver.NewVersion(version)
	return err != nil || v.Prerelease() != ""
}

// higher compares versions; what is no version is never higher.
func higher(a, b string) bool {
	av, err := semver.NewVersion(a)
	if err != nil {
		return false
	}
	bv, err := semver.NewVersion(b)
	return err != nil || av.GreaterThan(bv)
}

func (p *Policy) rules() Rules {
	if p.Read == nil {
		return everything{}
	}
	return p.Read()
}

func (p *Policy) log() *slog.Logger {
	if p.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return p.Logger
}
