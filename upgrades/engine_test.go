package upgrades

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

const (
	upFrom1  = "[[up]]\nfrom = \"^1\"\nprobation = \"3s\"\n[[down]]\nto = \"^1\"\nprobation = \"3s\"\n"
	slowly   = "[[up]]\nfrom = \"^1\"\nprobation = \"10s\"\n[[down]]\nto = \"^1\"\nprobation = \"5s\"\n"
	restart1 = "[[up]]\nfrom = \"^1\"\ndo = \"restart\"\nprobation = \"3s\"\n[[down]]\nto = \"^1\"\ndo = \"restart\"\n"
	oneWay   = "[[up]]\nfrom = \"^1\"\nirreversible = true\n"
)

// scenario is one upgrade: the releases are there and the first one serves, then go does something.
type scenario struct {
	name     string
	before   func(w *world) (first, second []release.Package)
	decide   func(o *operator) // what is in theseus.toml for the second release
	remove   []string          // services that the second release has not
	down     bool              // go from the second release to the first
	sick     string            // a version that is not healthy
	ask      bool              // somebody asks for a rollback two seconds into the probation
	want     State
	thorough bool // every pair of crashes
	thin     int  // only every so many calls fail; all if 0
	comes    bool // going back cuts the connections of a service that was not there before
	cut      bool // connections are cut even if all goes well
}

func one(version, manifest string) func(w *world) (first, second []release.Package) {
	return func(w *world) (first, second []release.Package) {
		return []release.Package{w.pack("visits", "1.0.0", ""), w.pack("cache", "1.0.0", "")},
			[]release.Package{w.pack("visits", version, manifest)}
	}
}

func two(w *world) (first, second []release.Package) {
	first = []release.Package{w.pack("cache", "1.0.0", ""), w.pack("visits", "1.0.0", "")}
	return first, []release.Package{
		w.pack("cache", "2.0.0", upFrom1), w.pack("visits", "2.0.0", upFrom1+"[requires]\ncache = \"^2\"\n"),
	}
}

// cache goes first and there is no way back from it; visits follows after the commit.
func twoOneWay(w *world) (first, second []release.Package) {
	first, second = two(w)
	second[0] = w.pack("cache", "2.0.0", oneWay)
	return first, second
}

func added(w *world) (first, second []release.Package) {
	return []release.Package{w.pack("visits", "1.0.0", "")},
		[]release.Package{w.pack("cache", "1.0.0", ""), w.pack("visits", "2.0.0", upFrom1)}
}

// chain are three services, each of which requires the one before, and goes over after it.
func chain(w *world) (first, second []release.Package) {
	for _, version := range []string{"1.0.0", "2.0.0"} {
		set := []release.Package{w.pack("cache", version, upIf2(version))}
		for _, pair := range [][2]string{{"visits", "cache"}, {"app", "visits"}} {
			requires := fmt.Sprintf("[requires]\n%s = \"^%c\"\n", pair[1], version[0])
			set = append(set, w.pack(pair[0], version, upIf2(version)+requires))
		}
		first, second = second, set
	}
	return first, second
}

func upIf2(version string) string {
	if version[0] == '2' {
		return upFrom1
	}
	return ""
}

// mixed are four services of which one goes, one comes, one changes in place and one by a restart.
func mixed(w *world) (first, second []release.Package) {
	return []release.Package{w.pack("old", "1.0.0", listen("a", 1)), w.pack("visits", "1.0.0", listen("b", 2)), w.pack("cache", "1.0.0", listen("c", 3))},
		[]release.Package{
			w.pack("cache", "2.0.0", listen("c", 4)+restart1),
			w.pack("visits", "2.0.0", listen("b", 2)+listen("more", 5)+upFrom1+"[requires]\ncache = \"^2\"\n"),
			w.pack("fresh", "1.0.0", listen("d", 6)+"[requires]\nvisits = \"^2\"\n"),
		}
}

func listen(name string, port int) string {
	return fmt.Sprintf("[[listen]]\nname = %q\naddress = \"127.0.0.1:%d\"\n", name, port)
}

func listening(w *world) (first, second []release.Package) {
	return []release.Package{w.pack("visits", "1.0.0", listen("http", 1)+listen("gone", 2)), w.pack("cache", "1.0.0", "")}, nil
}

// moved is theseus.toml after somebody has worked on it.
func moved(o *operator) {
	o.now = map[string]release.Settings{"visits": `{"config":{"language":"fr"},"listen":{"http":"127.0.0.1:9"}}`}
}

var scenarios = []scenario{
	{name: "update", before: one("2.0.0", upFrom1), thorough: true, want: Permanent},
	{name: "load", before: one("1.1.0", strings.Replace(upFrom1, "probation", "do = \"load\"\nprobation", 1)), want: Permanent},
	{name: "sick", before: one("2.0.0", upFrom1), thorough: true, sick: "2.0.0", want: RolledBack},
	{name: "asked", before: one("2.0.0", upFrom1), ask: true, want: RolledBack},
	{name: "down", before: one("2.0.0", upFrom1), down: true, want: Permanent},
	{name: "down and sick", before: one("2.0.0", upFrom1), down: true, sick: "1.0.0", want: RolledBack},
	{name: "restart", before: one("2.0.0", restart1), want: Permanent, cut: true},
	{name: "restart and sick", before: one("2.0.0", restart1), sick: "2.0.0", want: RolledBack, cut: true},
	{name: "one crash is allowed", before: one("2.0.0", upFrom1+"[probation]\ncrashes = 1\n"), want: Permanent},
	{name: "one way", before: one("2.0.0", oneWay), want: Permanent},
	{name: "two services", before: two, want: Permanent},
	{name: "two services, sick", before: two, sick: "2.0.0", want: RolledBack},
	{name: "two services, down", before: two, down: true, want: Permanent},
	{name: "two services, one way", before: twoOneWay, want: Permanent},
	{name: "three services", before: chain, want: Permanent, thin: 2},
	{name: "three services, sick", before: chain, sick: "2.0.0", want: RolledBack, thin: 3},
	{name: "three services, down", before: chain, down: true, want: Permanent, thin: 3},
	{name: "four services", before: mixed, remove: []string{"old"}, comes: true, want: Permanent, cut: true, thin: 2},
	{name: "four services, asked", before: mixed, remove: []string{"old"}, ask: true, comes: true, cut: true, want: RolledBack, thin: 3},
	{name: "settings", before: listening, decide: moved, want: Permanent},
	{name: "settings, asked", before: listening, decide: moved, ask: true, want: RolledBack, thin: 2},
	{name: "settings, down", before: listening, decide: moved, down: true, want: Permanent, thin: 2},
	{name: "a service comes", before: added, comes: true, want: Permanent},
	{name: "a service goes", before: added, down: true, want: Permanent, cut: true},
}

// set brings a world to where the scenario begins.
func (s scenario) set(t testing.TB) *world {
	w := newWorld(t)
	first, second := s.before(w)
	d := w.boot()
	d.do(func(e *Engine) {
		must(t, e.Recover(t.Context()))
		mustBuild(t, e, first)
		must(t, e.Boot(t.Context()))
		if s.decide != nil {
			s.decide(&w.operator)
		}
		second, err := e.Build(t.Context(), second, "test", s.remove...)
		must(t, err)
		if !second.New {
			t.Fatal("the second release is the first one")
		}
		if s.down {
			must(t, e.Upgrade(t.Context(), control.UpgradeRequest{}, nil))
		}
	})
	d.end()
	if s.sick != "" {
		w.sick[s.sick] = true
	}
	w.calls = nil
	for _, g := range w.grounds {
		g.lost = 0
	}
	return w
}

// play lets one daemon, which has come up, do what the scenario is about, with a script from there on. It tells
// whether the daemon crashed. The caller ends the daemon.
func (s scenario) play(w *world, sc script) (d *daemon, crashed bool, err error) {
	d = w.boot()
	d.do(func(e *Engine) { err = e.Boot(context.Background()) })
	w.with(func() { w.calls, w.script = nil, sc })
	crashed = d.do(func(e *Engine) {
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			s.askBack(e)
		}()
		req := control.UpgradeRequest{By: "ada"}
		if s.down {
			req.To = "v1"
		}
		err = e.Upgrade(context.Background(), req, nil)
		_ = e.Wait(context.Background())
		<-asked
	})
	time.Sleep(time.Hour) // what still wakes up finds a dead daemon
	w.with(func() { w.script = nil })
	return d, crashed, err
}

// askBack is somebody who does not like what he sees in the probation.
func (s scenario) askBack(e *Engine) {
	if !s.ask {
		return
	}
	time.Sleep(2 * time.Second)
	if e.InProgress() != nil {
		_ = e.Rollback(context.Background(), control.UpgradeRequest{By: "eve"}, nil)
	}
}

// rest lets a daemon come up and wait until nothing is under way.
func rest(w *world) *daemon {
	d := w.boot()
	d.do(func(e *Engine) {
		if err := e.Recover(context.Background()); err != nil {
			w.complain("recover: %v", err)
		}
		if err := e.Boot(context.Background()); err != nil {
			w.complain("boot: %v", err)
		}
		_ = e.Wait(context.Background())
	})
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustBuild(t testing.TB, e *Engine, pkgs []release.Package) control.Built {
	t.Helper()
	b, err := e.Build(t.Context(), pkgs, "test")
	must(t, err)
	return b
}

func TestUpgradeEndsWell(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := s.set(t)
				d, crashed, err := s.play(w, nil)
				d.end()
				if crashed || (err != nil) != (s.want != Permanent) {
					t.Fatalf("crashed %v, error %v", crashed, err)
				}
				if got := w.last(); got != string(s.want) {
					t.Errorf("the end is %s, want %s", got, s.want)
				}
				if n := w.lost(); n > 0 != s.cut {
					t.Errorf("connections were cut %d times", n)
				}
				if u := w.unsettled(); len(u) > 0 {
					t.Errorf("older shapes are still written: %v", u)
				}
				story := w.story()
				d = rest(w)
				defer d.end()
				if f := w.faults(d.e); len(f) > 0 {
					t.Errorf("%s\n%s", strings.Join(f, "\n"), story)
				}
			})
		})
	}
}

// Whatever one call answers, one version of each service serves at the end and the journal has one outcome.
func TestEveryFailure(t *testing.T) {
	acts := []act{fail, failAfter, busy, die, dieAfter, hang, freeze}
	for offset, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			n := calls(t, s)
			for k := offset % s.every(); k < n; k += s.every() {
				for _, a := range acts {
					failOnce(t, s, k, a)
				}
			}
		})
	}
}

// calls counts the calls of a scenario in which all goes well.
func calls(t *testing.T, s scenario) (n int) {
	synctest.Test(t, func(t *testing.T) {
		w := s.set(t)
		d, _, _ := s.play(w, nil)
		d.end()
		n = len(w.calls)
	})
	if n < 10 {
		t.Fatalf("only %d calls", n)
	}
	return n
}

func at(k int, a act) script {
	return func(n int, _ string) act {
		if n == k {
			return a
		}
		return well
	}
}

func failOnce(t *testing.T, s scenario, k int, a act) {
	synctest.Test(t, func(t *testing.T) {
		w := s.set(t)
		d, _, _ := s.play(w, at(k, a))
		story := w.story()
		f := w.liveFaults(d.e)
		if len(f) > 0 {
			t.Errorf("%s at call %d (%s)\n%s\n%s", a, k, w.calls[k], strings.Join(f, "\n"), story)
		}
		if (a == fail || a == busy) && !s.cut && !s.comes && w.lost() > 0 {
			t.Errorf("%s at call %d (%s): connections were cut\n%s", a, k, w.calls[k], story)
		}
		d.end()
		d2 := rest(w)
		defer d2.end()
		if f := w.faults(d2.e); len(f) > 0 {
			t.Errorf("after a restart: %s at call %d (%s)\n%s\n%s", a, k, w.calls[k], strings.Join(f, "\n"), story)
		}
	})
}

// liveFaults is faults without what only a restart of the daemon tidies up: records that the journal refused and
// processes that would not settle.
func (w *world) liveFaults(e *Engine) []string {
	return slices.DeleteFunc(w.faults(e), func(f string) bool { return strings.Contains(f, "outcome") })
}

// A daemon that ends at any instant leaves a journal from which the next one makes whole what it finds. The journal
// alone decides: with the commit record the new versions win, without it the old ones do.
func TestCrashAtEveryCall(t *testing.T) {
	for offset, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			n := calls(t, s)
			for k := offset % s.every(); k < n; k += s.every() {
				for _, a := range []act{crash, crashAfter} {
					crashOnce(t, s, k, a, false)
					crashOnce(t, s, k, a, true)
				}
			}
		})
	}
}

func crashOnce(t *testing.T, s scenario, k int, a act, power bool) {
	synctest.Test(t, func(t *testing.T) {
		w := s.set(t)
		dead, crashed, _ := s.play(w, at(k, a))
		dead.end()
		if power {
			w.powerFails()
		}
		decided := slices.Contains(w.kinds(), string(Committed))
		if s.down {
			decided = count2(w.kinds(), string(Committed)) == 2
		}
		story := w.story()
		d := rest(w)
		defer d.end()
		where := fmt.Sprintf("%s at call %d, power %v, crashed %v", a, k, power, crashed)
		if f := w.faults(d.e); len(f) > 0 {
			t.Errorf("%s\n%s\n%s\nthen %s", where, strings.Join(f, "\n"), story, w.story())
		}
		if crashed && !power && !s.cut && !s.comes && w.lost() > 0 {
			t.Errorf("%s: connections were cut\n%s\nthen %s", where, story, w.story())
		}
		if crashed {
			s.checkOutcome(t, w, decided, where)
		}
		restsAgain(t, w, where)
	})
}

func count2(list []string, s string) (n int) {
	for _, other := range list {
		if other == s {
			n++
		}
	}
	return n
}

// checkOutcome wants what the journal said at the crash.
func (s scenario) checkOutcome(t *testing.T, w *world, decided bool, where string) {
	want := s.want
	if !decided {
		want = Aborted
	}
	last := w.last()
	if s.ask && decided && last == string(Permanent) {
		return // nobody asks a second time
	}
	if planned := count2(w.kinds(), string(Planned)); planned == 0 || (s.down && planned == 1) {
		return // the crash came before the plan
	}
	if last != string(want) {
		t.Errorf("%s: the end is %s, want %s\n%s", where, last, want, w.story())
	}
}

// restsAgain wants a further start of the daemon to change nothing.
func restsAgain(t *testing.T, w *world, where string) {
	before, procs := len(w.records), w.living()
	d := rest(w)
	defer d.end()
	if len(w.records) != before || !slices.Equal(procs, w.living()) {
		t.Errorf("%s: a second recovery changed something: %v -> %v\n%s", where, procs, w.living(), w.story())
	}
}

func (w *world) living() (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.procs {
		if !p.dead() {
			ids = append(ids, p.id)
		}
	}
	return ids
}

// every and pairs thin out the calls that fail, and the pairs of crashes.
func (s scenario) every() int {
	switch {
	case raced:
		return 13
	case testing.Short():
		return 3 * max(s.thin, 1)
	default:
		return max(s.thin, 1)
	}
}

func (s scenario) pairs() int {
	switch {
	case raced:
		return 80
	case testing.Short():
		return 40
	case s.thorough:
		return 1
	default:
		return 4 * max(s.thin, 1)
	}
}

// The recovery crashes as well, at each of its own calls.
func TestCrashInRecovery(t *testing.T) {
	for offset, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			n := calls(t, s)
			for k := offset % s.pairs(); k < n; k += s.pairs() { // not the same calls in each scenario
				for j := 0; crashTwice(t, s, k, j); j++ {
				}
			}
		})
	}
}

// crashTwice is false once the recovery has fewer than j calls.
func crashTwice(t *testing.T, s scenario, k, j int) (more bool) {
	synctest.Test(t, func(t *testing.T) {
		w := s.set(t)
		dead, crashed, _ := s.play(w, at(k, crashAfter))
		dead.end()
		if !crashed {
			return
		}
		first := w.story()
		w.with(func() { w.calls, w.script = nil, at(j/2, []act{crash, crashAfter}[j%2]) })
		d := rest(w)
		more = d.gone() || j/2 < len(w.calls)
		d.end()
		w.with(func() { w.script = nil })
		d = rest(w)
		defer d.end()
		if f := w.faults(d.e); len(f) > 0 {
			t.Errorf("crash at %d and at %d of the recovery\n%s\n%s\nthen %s", k, j/2, strings.Join(f, "\n"), first, w.story())
		}
		if !s.cut && !s.comes && w.lost() > 0 {
			t.Errorf("crash at %d and at %d of the recovery: connections were cut\n%s\nthen %s", k, j/2, first, w.story())
		}
	})
	return more
}

func TestSchemaVersionThatServedKeepsItsShape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.boot()
		defer d.end()
		mustBuild(t, d.e, []release.Package{w.pack("visits", "1.0.0", "")})
		must(t, d.e.Boot(t.Context()))
		mustBuild(t, d.e, []release.Package{w.pack("visits", "2.0.0", upFrom1)})
		other := w.pack("visits", "2.0.1", upFrom1)
		other.Describe.Tables[0].Shape = "{other:string}"
		w.store[other.Digest] = other
		mustBuild(t, d.e, []release.Package{other}) // 2.0.0 has written nothing yet
		w.sick["2.0.0"] = true
		wantCode(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v2"}, nil), "rolled_back", "")
		_, err := d.e.Plan(t.Context(), control.PlanRequest{To: "v3"})
		wantCode(t, err, "uncovered", "has served as {v2:string} in 2.0.0")
		other.Version, other.Digest = "2.0.2", "visits@2.0.2"
		w.store[other.Digest] = other
		_, err = d.e.Build(t.Context(), []release.Package{other}, "test")
		wantCode(t, err, "uncovered", "{other:string} here")
	})
}

func TestErrorsForPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.boot()
		defer d.end()
		wantCode(t, second(d.e.Plan(t.Context(), control.PlanRequest{})), "no_release", "no release yet")
		mustBuild(t, d.e, []release.Package{w.pack("visits", "1.0.0", ""), w.pack("cache", "1.0.0", "")})
		must(t, d.e.Boot(t.Context()))
		wantCode(t, second(d.e.Plan(t.Context(), control.PlanRequest{})), "no_release", "no release above v1")
		wantCode(t, second(d.e.Plan(t.Context(), control.PlanRequest{To: "v9"})), "no_release", "no release v9")
		wantCode(t, second(d.e.Plan(t.Context(), control.PlanRequest{To: "v1"})), "same_release", "is what runs now")
		wantCode(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil), "no_release", "before v1")

		mustBuild(t, d.e, []release.Package{w.pack("visits", "3.0.0", upFrom1)})
		_, err := d.e.Build(t.Context(), []release.Package{w.pack("visits", "4.0.0", strings.ReplaceAll(upFrom1, "^1", "~3.5"))}, "")
		wantCode(t, err, "no_appup", "~3.5")

		naked := w.pack("visits", "2.0.0", upFrom1)
		naked.Describe.Tables[0].Steps = nil
		_, err = d.e.Build(t.Context(), []release.Package{naked}, "")
		wantCode(t, err, "uncovered", "rows")
		_, err = d.e.Build(t.Context(), []release.Package{w.pack("cache", "1.0.1", "[requires]\nvisits = \"^7\"\n")}, "")
		wantCode(t, err, "requires", "^7")
		_, err = d.e.Build(t.Context(), []release.Package{
			w.pack("cache", "1.0.2", "[requires]\nvisits = \"^1\"\n"), w.pack("visits", "1.0.2", "[requires]\ncache = \"^1\"\n"),
		}, "")
		wantCode(t, err, "requires", "cycle")
	})
}

func second[T any](_ T, err error) error { return err }

func wantCode(t *testing.T, err error, code, text string) {
	t.Helper()
	var e *control.Error
	if !errors.As(err, &e) {
		t.Errorf("%v is no error for people, want %s", err, code)
		return
	}
	if e.Code != code || !strings.Contains(e.Message, text) || e.Hint == "" {
		t.Errorf("code %q, message %q, hint %q; want %s: ...%s...", e.Code, e.Message, e.Hint, code, text)
	}
}
