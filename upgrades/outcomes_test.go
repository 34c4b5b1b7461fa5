package upgrades

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/journal"
	"github.com/theseusd/theseus/upgrades/release"
)

// slip is something that goes wrong in an upgrade: what OTP does then, and how ours is made to happen and what comes of it.
type slip struct {
	goes, otp string
	ours      func(t *testing.T) string
}

// tale goes wrong in a world where v1 serves and v2 is built. It returns the daemon that is there at the end.
type tale func(t *testing.T, w *world, d *daemon) (*daemon, error)

// told lets a tale happen in virtual time and says what came of it.
func told(tell tale) func(t *testing.T) string {
	return func(t *testing.T) (text string) {
		synctest.Test(t, func(t *testing.T) {
			w := scenario{before: one("2.0.0", slowly)}.set(t)
			d := w.boot()
			defer d.end()
			must(t, d.e.Boot(t.Context()))
			first := w.serving("visits").id
			now, err := tell(t, w, d)
			text = w.outcome(now, err, first)
			if now != d {
				now.end()
			}
			if len(w.wrong) > 0 {
				t.Errorf("%v\n%s", w.wrong, w.story())
			}
		})
		return text
	}
}

// outcome says how it ended, what serves and in which process, where the releases stand, and what clients noticed.
func (w *world) outcome(d *daemon, err error, first string) string {
	how := "done"
	if err != nil {
		how = codeOf(err)
	}
	serves := "nobody serves"
	if p := w.serving("visits"); p != nil {
		serves = p.pkg.Version + " serves"
		if p.id == first {
			serves += ", the same process"
		}
	}
	var list []string
	for _, r := range d.e.Releases() {
		list = append(list, r.Name+" "+r.Status)
	}
	cut := "no connection cut"
	if n := w.lost(); n > 0 {
		cut = "connections cut"
	}
	return strings.Join([]string{how, serves, strings.Join(list, ", "), cut}, "; ")
}

// codeOf is an error as people and scripts know it.
func codeOf(err error) string {
	var e *control.Error
	if errors.As(err, &e) {
		return "`" + e.Code + "`"
	}
	return err.Error()
}

// scripted is an upgrade in which one kind of call goes wrong.
func scripted(call string, a act) func(t *testing.T) string {
	return told(func(_ *testing.T, w *world, d *daemon) (*daemon, error) {
		w.with(func() { w.script = on(call, a) })
		err := go2(d)
		w.with(func() { w.script = nil })
		return d, err
	})
}

// broke ends the daemon, and all power, at one call of an upgrade, and starts it again.
func broke(call string) func(t *testing.T) string {
	return told(func(t *testing.T, w *world, d *daemon) (*daemon, error) {
		w.with(func() { w.script = on(call, crashAfter) })
		if !d.do(func(*Engine) { _ = go2(d) }) && !d.gone() {
			t.Error("it did not crash")
		}
		d.end()
		w.with(func() { w.script = nil })
		w.powerFails()
		return rest(w), nil
	})
}

// refusedBuild is what the build of one more version says.
func refusedBuild(version, manifest string, change func(p *release.Package)) func(t *testing.T) string {
	return told(func(t *testing.T, w *world, d *daemon) (*daemon, error) {
		p := w.pack("visits", version, manifest)
		change(&p)
		w.store[p.Digest] = p
		_, err := d.e.Build(t.Context(), []release.Package{p}, "test")
		return d, err
	})
}

func asIs(*release.Package) {}

// slips are the rows of the table in README.md; OTP's side was measured with OTP 25.2.3.
var slips = []slip{
	{
		"nothing, and the new version is not yet permanent", "new code and new state; v2 `current`, v1 `permanent`",
		told(func(t *testing.T, w *world, d *daemon) (*daemon, error) {
			go func() { _ = d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil) }()
			time.Sleep(3 * time.Second)
			w.with(func() { w.standby("1.0.0") }) // fails the test if there is none
			return d, nil
		}),
	},
	{
		"the code of the migration crashes, upwards", "error in 6 ms; every application restarted with v1, state lost",
		scripted("rehearse visits 2.0.0", fail),
	},
	{
		"the code of the migration crashes, downwards", "error; restarted with v2, state lost",
		told(func(t *testing.T, w *world, d *daemon) (*daemon, error) {
			must(t, go2(d))
			w.with(func() {
				w.script = func(_ int, c string) act {
					if strings.HasPrefix(c, "rehearse") {
						return fail
					}
					return well
				}
			})
			err := d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil)
			w.with(func() { w.script = nil })
			return d, err
		}),
	},
	{
		"the migration takes longer than 5 s (here: 10 minutes)", "time-out at 5 s; restarted with v1, state lost",
		told(func(_ *testing.T, w *world, d *daemon) (*daemon, error) {
			w.with(func() {
				w.script = func(_ int, c string) act {
					if c == "rehearse visits 2.0.0" {
						time.Sleep(10 * time.Minute)
					}
					return well
				}
			})
			return d, go2(d)
		}),
	},
	{
		"what runs is busy and does not let go", "skipped, and reported as success; its first call crashes it, state lost",
		scripted("release visits 1.0.0", busy),
	},
	{
		"a process dies in the middle of the switch", "the whole node restarts, state lost",
		scripted("release visits 1.0.0", dieAfter),
	},
	{
		"the new version dies as it takes over", "the whole node restarts, state lost",
		scripted("activate visits 2.0.0", die),
	},
	{
		"the new code is truncated", "refused before the switch; v1 untouched",
		stored(func(t *testing.T, y *yard) error {
			return y.add(t, "visits-2.0.0.tpk", y.again(t, "2.0.0", func(e *entry) {
				if e.name == "service" {
					e.text = e.text[:len(e.text)/2]
				}
			}))
		}),
	},
	{
		"the new code is missing", "refused before the switch; v1 untouched",
		told(func(t *testing.T, w *world, d *daemon) (*daemon, error) {
			must(t, w.Remove("visits@2.0.0"))
			return d, go2(d)
		}),
	},
	{
		"the new code refuses to be loaded", "check says ok; at the install restarted with v1, state lost",
		told(func(_ *testing.T, w *world, d *daemon) (*daemon, error) {
			w.with(func() { w.broken["2.0.0"] = true })
			return d, go2(d)
		}),
	},
	{
		"a failure after the point of no return", "reboot; without `heart` the node is down and stays down",
		told(func(_ *testing.T, w *world, d *daemon) (*daemon, error) {
			w.with(func() { w.sick["2.0.0"] = true })
			return d, go2(d)
		}),
	},
	{"everything dies after the switch, before it is permanent", "boots v1 with empty memory", broke("health visits 2.0.0")},
	{"everything dies in the middle of the migration", "boots v1 with empty memory", broke("rehearse visits 2.0.0")},
	{"everything dies in the middle of the switch", "boots v1 with empty memory", broke("release visits 1.0.0")},
	{"everything dies once it is permanent", "boots v2 with empty memory", broke("journal permanent")},
	{"the registry is torn at its end (`start_erl.data`)", "does not boot", torn(func(text []byte) []byte { return text[:len(text)-3] })},
	{
		"the registry is damaged (`RELEASES`)", "boots, and has forgotten every other release: no way back, silently",
		torn(func(text []byte) []byte {
			text = slices.Clone(text)
			text[len(text)/3] ^= 0xff
			return text
		}),
	},
	{
		"a crash between two writes of the registry", "runs v2 and believes that it runs v1",
		told(func(t *testing.T, w *world, d *daemon) (*daemon, error) {
			w.with(func() { w.script = on("journal permanent", crashAfter) })
			d.do(func(*Engine) { _ = go2(d) })
			d.end()
			w.with(func() { w.script = nil })
			return rest(w), nil
		}),
	},
	{"no appup", "nothing is built", refusedBuild("2.1.0", "", asIs)},
	{"an appup without the version that runs", "nothing is built", refusedBuild("2.1.0", "[[up]]\nfrom = \"~1.9\"\n", asIs)},
	{
		"an appup whose own version is wrong", "accepted with a warning",
		stored(func(t *testing.T, y *yard) error {
			return release.Pack(&strings.Builder{}, []byte("name = \"visits\"\nversion = \"2.0.0\"\n"), y.binary(t, "2.0.1"), y.describe("2.0.1"), y.by)
		}),
	},
	{
		"an appup that forgets what changed", "accepted without a warning; v2 `current`, v1 code and state still running",
		refusedBuild("1.1.0", "[[up]]\nfrom = \"^1\"\n", func(p *release.Package) {
			p.Describe.Tables[0].Shape = "{v1:string,more:int64}"
		}),
	},
	{
		"a release without a relup for what runs", "check says ok; the install names the wrong release",
		told(func(t *testing.T, w *world, d *daemon) (*daemon, error) {
			must(t, go2(d))
			mustBuild(t, d.e, []release.Package{w.pack("visits", "3.0.0", "[[up]]\nfrom = \"^2\"\n[[down]]\nto = \"^2\"\n")})
			must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
			must(t, second(d.e.Remove(t.Context(), control.RemoveRequest{Release: "v2"}))) // or there would be a way through it
			return d, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v3"}, nil)
		}),
	},
	{
		"a relup in a package where none belongs", "accepted; every later way back fails",
		stored(func(t *testing.T, y *yard) error {
			return y.add(t, "visits-2.0.0.tpk", y.again(t, "2.0.0", func(e *entry) {
				if e.name == "describe.json" {
					e.also = "relup"
				}
			}))
		}),
	},
	{
		"an unknown release; the same again", "refused; refused",
		told(func(t *testing.T, _ *world, d *daemon) (*daemon, error) {
			unknown := d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v9"}, nil)
			same := d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v1"}, nil)
			return d, errors.New(codeOf(unknown) + ", " + codeOf(same))
		}),
	},
	{
		"the same package twice; permanent before the install", "refused; refused",
		told(func(t *testing.T, w *world, d *daemon) (*daemon, error) {
			again := mustBuild(t, d.e, []release.Package{w.store["visits@2.0.0"]})
			early := d.e.Commit(t.Context(), control.UpgradeRequest{}, nil)
			return d, fmt.Errorf("new: %v, it is %s; %s", again.New, again.To, codeOf(early))
		}),
	},
	{
		"the release that runs is removed", "ok; its files are gone while it runs",
		told(func(t *testing.T, _ *world, d *daemon) (*daemon, error) {
			_, err := d.e.Remove(t.Context(), control.RemoveRequest{Release: "v1"})
			return d, err
		}),
	},
	{
		"a truncated package file", "refused with a misleading error; a good one unpacks",
		stored(func(t *testing.T, y *yard) error {
			text := y.pack(t, "2.0.0")
			return y.add(t, "visits-2.0.0.tpk", text[:len(text)/2])
		}),
	},
	{
		"a package packed again with another binary", "accepted: nothing is checked",
		stored(func(t *testing.T, y *yard) error {
			return y.add(t, "visits-2.0.0.tpk", y.again(t, "2.0.0", func(e *entry) {
				if e.name == "service" {
					e.text[len(e.text)-1] ^= 1
				}
			}))
		}),
	},
	{
		"a package of somebody whom nobody here trusts", "accepted: nothing is checked",
		stored(func(t *testing.T, y *yard) error {
			return y.add(t, "visits-2.0.0.tpk", newYard(t).pack(t, "2.0.0"))
		}),
	},
	{
		"only the runtime is newer (here: another daemon)", "the VM restarts, both ways; state and connections lost",
		told(func(_ *testing.T, w *world, d *daemon) (*daemon, error) {
			d.end()
			return rest(w), nil
		}),
	},
}

// torn damages a real journal after an upgrade and starts the daemon again.
func torn(damage func([]byte) []byte) func(t *testing.T) string {
	return func(t *testing.T) (text string) {
		synctest.Test(t, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			w := newWorld(t)
			d := &daemon{w: w}
			open := func() (*journal.Journal, error) {
				j, records, err := journal.Open(path)
				if err != nil {
					return nil, err
				}
				d.e, err = New(Options{Host: d, Journal: j, Records: records, Store: w, Operator: &w.operator})
				return j, err
			}
			j, err := open()
			must(t, err)
			mustBuild(t, d.e, []release.Package{w.pack("visits", "1.0.0", "")})
			must(t, d.e.Boot(t.Context()))
			mustBuild(t, d.e, []release.Package{w.pack("visits", "2.0.0", upFrom1)})
			must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil))
			must(t, d.e.Wait(t.Context()))
			first, before := w.serving("visits").id, d
			d.e.Close()
			must(t, j.Close())
			whole, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, damage(whole), 0o600))
			if j, err = open(); err != nil {
				var corrupt *journal.CorruptError
				if !errors.As(err, &corrupt) {
					t.Error(err)
				}
				text = w.outcome(before, errors.New("the daemon does not start and says where the damage is"), first)
				return
			}
			must(t, d.e.Recover(context.Background()))
			must(t, d.e.Boot(context.Background()))
			must(t, d.e.Wait(context.Background()))
			text = w.outcome(d, nil, first)
			d.e.Close()
			must(t, j.Close())
		})
		return text
	}
}

const (
	tableBegins = "<!-- written by: UPDATE=1 go test -run TestWhenThingsGoWrong ./upgrades -->\n"
	tableEnds   = "<!-- end -->\n"
)

// What really happens is what README.md says: each row of its table is made to happen, and its last column is what the
// test has seen.
func TestWhenThingsGoWrong(t *testing.T) {
	var b strings.Builder
	b.WriteString("| what goes wrong | OTP's release_handler | here |\n|---|---|---|\n")
	for _, s := range slips {
		t.Run(s.goes, func(t *testing.T) {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", s.goes, s.otp, s.ours(t))
		})
	}
	readme, err := os.ReadFile("README.md")
	must(t, err)
	head, rest, ok := strings.Cut(string(readme), tableBegins)
	table, tail, ended := strings.Cut(rest, tableEnds)
	if !ok || !ended {
		t.Fatal("README.md has no place for the table")
	}
	if os.Getenv("UPDATE") != "" {
		must(t, os.WriteFile("README.md", []byte(head+tableBegins+b.String()+tableEnds+tail), 0o644))
		return
	}
	for want := range strings.Lines(b.String()) {
		if !strings.Contains(table, want) {
			t.Errorf("README.md does not say what happens now; if that is meant, write the table with UPDATE=1:\n%s", want)
		}
	}
	if strings.Count(table, "\n") != strings.Count(b.String(), "\n") {
		t.Error("README.md has other rows")
	}
}
