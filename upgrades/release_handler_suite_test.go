package upgrades

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// The scenarios of OTP's release_handler_SUITE, under its names. The table in README.md says which case is which test.

func to(t *testing.T, d *daemon, release string) {
	t.Helper()
	must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: release}, nil))
}

func statuses(d *daemon) string {
	var list []string
	for _, r := range d.e.Releases() {
		list = append(list, r.Name+" "+r.Status)
	}
	return strings.Join(list, ", ")
}

// reboot takes all power away and starts again.
func reboot(w *world, d *daemon) *daemon {
	d.end()
	w.powerFails()
	return rest(w)
}

// upgrade: a chain of releases with reboots in between. What was not made permanent boots the old one in OTP; here the
// journal has the commit, so the switch holds. Then down by two, back, and away with one.
func TestUpgrade(t *testing.T) {
	story(t, func(t *testing.T, w *world, d0 *daemon) {
		d := d0
		defer func() { d.end() }()
		wide := "[[up]]\nfrom = \">= 1\"\nprobation = \"3s\"\n[[down]]\nto = \">= 1\"\nprobation = \"3s\"\n"
		go func() { _ = d.e.Upgrade(context.Background(), control.UpgradeRequest{To: "v2"}, nil) }()
		time.Sleep(3 * time.Second) // on probation
		d = reboot(w, d)
		wantServing(t, w, d, "2.0.0", "permanent")
		mustBuild(t, d.e, []release.Package{w.pack("visits", "3.0.0", wide)})
		d = reboot(w, d)
		to(t, d, "v3")
		mustBuild(t, d.e, []release.Package{w.pack("visits", "4.0.0", wide)})
		to(t, d, "v4")
		d = reboot(w, d)
		wantServing(t, w, d, "4.0.0", "permanent")
		to(t, d, "v2") // two back
		d = reboot(w, d)
		wantServing(t, w, d, "2.0.0", "permanent")
		to(t, d, "v4")
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		wantServing(t, w, d, "2.0.0", "permanent") // which served before v4
		must(t, second(d.e.Remove(t.Context(), control.RemoveRequest{Release: "v4"})))
		d = reboot(w, d)
		wantServing(t, w, d, "2.0.0", Removed)
		if got := statuses(d); got != "v1 old, v2 permanent, v3 old" {
			t.Error(got)
		}
	})
}

// upgrade_restart: a forced restart in an upgrade during which the runtime is replaced too, up and down.
func TestUpgradeRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scenario{before: one("2.0.0", restart1)}.set(t)
		d := w.boot()
		must(t, d.e.Boot(t.Context()))
		for _, way := range []struct{ release, version string }{{"v2", "2.0.0"}, {"v1", "1.0.0"}} {
			go func() { _ = d.e.Upgrade(context.Background(), control.UpgradeRequest{To: way.release}, nil) }()
			time.Sleep(2 * time.Second)
			d.end()
			d = rest(w)
			wantServing(t, w, d, way.version, "permanent")
		}
		d.end()
	})
}

// instructions: each high-level instruction does what it says and no more.
func TestInstructions(t *testing.T) {
	for _, do := range []string{"update", "load", "restart"} {
		synctest.Test(t, func(t *testing.T) {
			w := scenario{before: one("1.1.0", strings.ReplaceAll(upFrom1, "probation", "do = \""+do+"\"\nprobation"))}.set(t)
			d := w.boot()
			defer d.end()
			must(t, d.e.Boot(t.Context()))
			w.with(func() { w.calls = nil })
			must(t, go2(d))
			stops, serves := slices.Index(w.calls, "stop visits 1.0.0"), slices.Index(w.calls, "activate visits 1.1.0")
			if stops < 0 || serves < 0 || (stops < serves) != (do == "restart") {
				t.Errorf("%s: %s", do, w.story())
			}
			if slices.Contains(w.calls, "rehearse visits 1.1.0") != (do == "update") || (w.lost() > 0) != (do == "restart") {
				t.Errorf("%s cut connections %d times: %s", do, w.lost(), w.story())
			}
			wantServing(t, w, d, "1.1.0", "permanent")
		})
	}
}

// supervisor_which_children_timeout: what is stuck neither hangs the upgrade nor passes it silently.
func TestSupervisorWhichChildrenTimeout(t *testing.T) {
	for _, call := range []string{"status visits 2.0.0", "rehearse visits 2.0.0", "pair visits 1.0.0", "release visits 1.0.0"} {
		story(t, func(t *testing.T, w *world, d *daemon) {
			w.with(func() { w.script = on(call, hang) })
			began := time.Now()
			err := go2(d)
			if code := codeOf(err); code != "`aborted`" && code != "`rehearsal`" {
				t.Errorf("%s: %v", call, err)
			}
			if took := time.Since(began); took > time.Hour {
				t.Errorf("%s: it took %s", call, took)
			}
			w.with(func() { w.script = nil })
			wantServing(t, w, d, "1.0.0", "aborted")
		})
	}
}

// install_release_syntax_check: what is illegal is refused before anything runs, be it a step far behind the commit.
func TestInstallReleaseSyntaxCheck(t *testing.T) {
	for text, want := range map[string]string{
		"[[up]]\nfrom = \"^1\"\ndo = \"advance\"\n":              "advance",
		"[[up]]\nfrom = \"one\"\n":                               `"one" is no range`,
		"[[up]]\nfrom = \"^1\"\n[[down]]\nto = \"\"\n":           "down[0].to is missing",
		"[[up]]\nfrom = \"^1\"\n[probation]\nhealth = 3\n":       "must be a string",
		"[[up]]\nfrom = \"^1\"\nprobation = \"-1s\"\n":           "-1s",
		"[[up]]\nfrom = \"^1\"\npoint_of_no_return = true\n":     "unknown key",
		"[[up]]\nfrom = \"^1\"\n[[up]]\nfrom = \"^1\"\n":         "is there twice",
		"[[up]]\nfrom = \"^1\"\n[requires]\nvisits = \"^1\"\n":   "cycle",
		"[up]\nfrom = \"^1\"\n":                                  "write [[up]]",
		"[[up]]\nfrom = \"^1\"\nirreversible = \"perhaps\"\n":    "must be a boolean",
		"[[listen]]\nname = \"http\"\naddress = \"somewhere\"\n": "is no address",
	} {
		_, err := appup.Parse("appup.toml", []byte("name = \"visits\"\nversion = \"2.0.0\"\n"+text))
		var p *appup.ParseError
		if !errors.As(err, &p) || p.Line == 0 || !strings.Contains(p.Short(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	story(t, func(t *testing.T, w *world, d *daemon) { // load where rows change
		load := strings.ReplaceAll(upFrom1, "probation", "do = \"load\"\nprobation")
		_, err := d.e.Build(t.Context(), []release.Package{w.pack("visits", "3.0.0", load)}, "test")
		wantCode(t, err, "bad_package", "load changes no state")
		if len(w.calls) > 0 || statuses(d) != "v1 permanent, v2 unpacked" {
			t.Errorf("something ran: %s, %s", statuses(d), w.story())
		}
	})
}

// which_releases: every release with its status, at each stage.
func TestWhichReleases(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		want := func(text string) {
			t.Helper()
			if got := statuses(d); got != text {
				t.Errorf("got %q, want %q", got, text)
			}
		}
		want("v1 permanent, v2 unpacked")
		go func() { _ = d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil) }()
		time.Sleep(2 * time.Second)
		want("v1 permanent, v2 current")
		must(t, d.e.Wait(t.Context()))
		want("v1 old, v2 permanent")
		mustBuild(t, d.e, []release.Package{w.pack("visits", "2.1.0", strings.ReplaceAll(upFrom1, "^1", "^2"))})
		want("v1 old, v2 permanent, v3 unpacked")
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		want("v1 permanent, v2 old, v3 unpacked")
		must(t, second(d.e.Remove(t.Context(), control.RemoveRequest{Release: "v2"})))
		want("v1 permanent, v3 unpacked")
	})
}

// otp_2740: versions of odd forms.
func TestOtp2740(t *testing.T) {
	for _, version := range []string{"1.0.1-rc.1", "1.0.1-0.3.7", "1.0.1+build.5", "1.0.1-x-y-z.-", "1.99999999.0", "1.0.1-alpha+001"} {
		story(t, func(t *testing.T, w *world, d *daemon) {
			b := mustBuild(t, d.e, []release.Package{w.pack("visits", version, upFrom1)})
			to(t, d, b.To)
			wantServing(t, w, d, version, "permanent")
			must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
			wantServing(t, w, d, "1.0.0", "permanent")
			if file := release.FileName("visits", version); file != "visits-"+version+".tpk" {
				t.Error(file)
			} else if name, v, ok := release.ParseFileName(file); !ok || name != "visits" || v != version {
				t.Error(name, v, ok)
			}
		})
	}
	for _, version := range []string{"1", "1.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0-ü", "", "1.0.0-01", "../1.0.0"} {
		if _, err := appup.Parse("appup.toml", []byte("name = \"visits\"\nversion = \""+version+"\"\n")); err == nil {
			t.Errorf("%q is taken", version)
		}
	}
}

// unicode_upgrade: what is not ASCII in rows, in the journal and in the names of people. Names of services are ASCII.
func TestUnicodeUpgrade(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		p := w.pack("visits", "1.1.0", upFrom1)
		p.Describe.Tables[0].Name, p.Describe.Tables[0].Shape = "größen", "{straße:string}"
		p.Manifest.Drop = []string{"rows"}
		w.store[p.Digest] = p
		b, err := d.e.Build(t.Context(), []release.Package{p}, "žofie")
		must(t, err)
		if !strings.Contains(strings.Join(b.Changes[0].Detail, " "), "größen 1 is new: {straße:string}") {
			t.Errorf("%+v", b.Changes)
		}
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: b.To, By: "李雷"}, nil))
		d.end()
		d2 := rest(w)
		defer d2.end()
		records, err := decode(w.records)
		must(t, err)
		if !slices.ContainsFunc(records, func(r record) bool { return r.Kind == string(Planned) && r.By == "李雷" }) {
			t.Errorf("%+v", records)
		}
		if r := d2.e.Releases(); r[2].By != "žofie" {
			t.Errorf("%+v", r)
		}
	})
	if _, err := appup.Parse("appup.toml", []byte("name = \"grüße\"\nversion = \"1.0.0\"\n")); err == nil || !strings.Contains(err.Error(), "is no name") {
		t.Error(err)
	}
}

// otp_2760: a service that a release no longer has is really gone.
func TestOtp2760(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scenario{before: added, down: true}.set(t)
		d := w.boot()
		defer d.end()
		must(t, d.e.Boot(t.Context()))
		to(t, d, "v1")
		if list := d.Instances("cache"); len(list) > 0 || w.ground("cache").given != nil {
			t.Errorf("cache is still there: %v\n%s", list, w.story())
		}
		wantServing(t, w, d, "1.0.0", "permanent")
	})
}

// otp_9417: to stop what does not run is no error.
func TestOtp9417(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scenario{before: added, down: true}.set(t)
		d := w.boot()
		defer d.end()
		must(t, d.e.Boot(t.Context()))
		w.with(func() {
			w.ground("cache").given = nil // the host has given up
			w.kill(w.active("cache"))
		})
		to(t, d, "v1")
		wantServing(t, w, d, "1.0.0", "permanent")
	})
}

// otp_5761: packages that have moved are found where they are now; one that is not what it was is refused.
func TestOtp5761(t *testing.T) {
	y := newYard(t)
	must(t, y.add(t, "visits-2.0.0.tpk", y.pack(t, "2.0.0")))
	list, err := y.store.List()
	must(t, err)
	moved := filepath.Join(y.dir, "elsewhere")
	must(t, os.Rename(filepath.Join(y.dir, "store"), moved))
	if _, err := y.store.Get(list[0].Digest); !errors.Is(err, release.ErrNotFound) {
		t.Error(err)
	}
	y.store, err = release.OpenStore(moved, y.keys)
	must(t, err)
	p, err := y.store.Get(list[0].Digest)
	if err != nil || p.Version != "2.0.0" || !strings.HasPrefix(p.Binary(), moved) {
		t.Errorf("%+v, %v", p, err)
	}
	must(t, os.Chmod(p.Binary(), 0o700))
	must(t, os.WriteFile(p.Binary(), []byte("other"), 0o700))
	var damaged *release.DamagedError
	if _, err := y.store.Get(list[0].Digest); !errors.As(err, &damaged) || damaged.File != p.Binary() {
		t.Error(err)
	}
}

// otp_9402: a version in which no code and no schema has changed is another version all the same, up and down.
func TestOtp9402(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scenario{before: one("1.1.0", strings.ReplaceAll(upFrom1, "probation", "do = \"load\"\nprobation"))}.set(t)
		d := w.boot()
		defer d.end()
		must(t, d.e.Boot(t.Context()))
		must(t, go2(d))
		if p := w.serving("visits"); p.pkg.Digest != "visits@1.1.0" {
			t.Errorf("%s serves", p.pkg.Digest)
		}
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		if p := w.serving("visits"); p.pkg.Digest != "visits@1.0.0" || w.lost() > 0 {
			t.Errorf("%s serves, connections cut %d times", p.pkg.Digest, w.lost())
		}
	})
}

// prepared is how long nobody serves if each step before the switch takes that long.
func prepared(t *testing.T, each time.Duration) (pause time.Duration) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		var let time.Time
		w.with(func() {
			w.script = func(_ int, c string) act {
				switch name, _, _ := strings.Cut(c, " "); {
				case c == "release visits 1.0.0":
					let = time.Now()
				case c == "activate visits 2.0.0":
					pause = time.Since(let)
				case let.IsZero() && (name == "start" || name == "rehearse" || name == "pair"):
					time.Sleep(each)
				}
				return well
			}
		})
		must(t, go2(d))
	})
	return pause
}

// otp_9395_check_old_code, _check_and_purge, _update_many_mods, _rm_many_mods: work is done before the switch, so that the
// switch is as cheap however long it takes.
func TestOtp9395(t *testing.T) {
	quick, slow := prepared(t, time.Millisecond), prepared(t, 5*time.Second)
	if quick != slow || quick <= 0 || quick > 50*time.Millisecond {
		t.Errorf("nobody served for %s, and for %s when all before takes long", quick, slow)
	}
}

// upgrade_supervisor: how a service is restarted changes with the release, and back.
func TestUpgradeSupervisor(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		nine := release.Settings(`{"restart":{"intensity":9}}`)
		w.operator.now = map[string]release.Settings{"visits": nine}
		b := mustBuild(t, d.e, nil)
		if text := strings.Join(b.Changes[0].Detail, " "); !strings.Contains(text, "restarted at most 9 times") {
			t.Errorf("%+v", b)
		}
		to(t, d, b.To)
		if got := w.ground("visits").given.Settings; got != nine {
			t.Errorf("the host restarts with %s", got)
		}
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		if got := w.ground("visits").given.Settings; got == nine {
			t.Errorf("after the rollback the host restarts with %s", got)
		}
	})
}

// upgrade_supervisor_fail: what cannot be started is found before the switch, with a clear error; nothing changes.
func TestUpgradeSupervisorFail(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.with(func() { w.broken["2.0.0"] = true })
		first := w.serving("visits").id
		wantCode(t, go2(d), "aborted", "2.0.0 does not start")
		if w.serving("visits").id != first || w.lost() > 0 {
			t.Errorf("%s serves, connections cut %d times", w.serving("visits").id, w.lost())
		}
		wantServing(t, w, d, "1.0.0", "aborted")
	})
}

// eval_appup: one service alone goes up and down; no other one notices.
func TestEvalAppup(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		cache := w.serving("cache").id
		w.with(func() { w.calls = nil })
		must(t, go2(d))
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		for _, c := range w.calls {
			if strings.Contains(c, "cache") {
				t.Errorf("cache was asked: %s", c)
			}
		}
		if w.serving("cache").id != cache {
			t.Error("cache was started again")
		}
		wantServing(t, w, d, "1.0.0", "permanent")
	})
}

// eval_appup_with_restart: that a version restarts, and cuts connections, is in the plan before it is done.
func TestEvalAppupWithRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := scenario{before: one("2.0.0", restart1)}.set(t)
		d := w.boot()
		defer d.end()
		must(t, d.e.Boot(t.Context()))
		p, err := d.e.Plan(t.Context(), control.PlanRequest{})
		must(t, err)
		if !slices.ContainsFunc(p.Steps, func(s control.PlanStep) bool {
			return s.Name == "switch" && strings.Contains(s.Text, "its manifest says restart, connections are cut")
		}) {
			t.Errorf("%+v", p.Steps)
		}
	})
}

// otp_9864: to remove what contains a link removes the link, not what it leads to.
func TestOtp9864(t *testing.T) {
	y := newYard(t)
	must(t, y.add(t, "visits-2.0.0.tpk", y.pack(t, "2.0.0")))
	list, err := y.store.List()
	must(t, err)
	outside := filepath.Join(t.TempDir(), "precious")
	must(t, os.MkdirAll(outside, 0o755))
	must(t, os.WriteFile(filepath.Join(outside, "data"), []byte("keep"), 0o600))
	digest := list[0].Digest
	must(t, os.Chmod(filepath.Join(y.dir, "store", digest), 0o700))
	must(t, os.Symlink(outside, filepath.Join(y.dir, "store", digest, "priv")))
	must(t, y.store.Remove(digest))
	other := strings.Repeat("ab", 32) // the whole package is a link
	must(t, os.Symlink(outside, filepath.Join(y.dir, "store", other)))
	must(t, y.store.Remove(other))
	if text, err := os.ReadFile(filepath.Join(outside, "data")); err != nil || string(text) != "keep" {
		t.Errorf("%q, %v", text, err)
	}
	if left, _ := os.ReadDir(filepath.Join(y.dir, "store")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// otp_10463: versions by a pattern; here by ranges, of which the first that holds counts.
func TestOtp10463(t *testing.T) {
	for text, want := range map[string]map[string]bool{
		"~1.2":             {"1.2.0": true, "1.2.9": true, "1.3.0": false, "2.2.0": false},
		"^1":               {"1.0.0": true, "1.9.9": true, "0.9.0": false},
		">= 1.1, < 1.4":    {"1.1.0": true, "1.3.9": true, "1.4.0": false},
		"1.2.x":            {"1.2.7": true, "1.1.7": false},
		"1.0.0 || ^1.5":    {"1.0.0": true, "1.0.1": false, "1.6.0": true},
		"1.0.1 - 1.0.3":    {"1.0.1": true, "1.0.3": true, "1.0.4": false},
		"!= 1.0.0, < 2":    {"1.0.0": false, "1.0.1": true},
		"1.0.1-rc.1 || ~9": {"1.0.1-rc.1": true, "1.0.1": false},
	} {
		w := newWorld(t)
		newer := w.pack("visits", "9.9.9", "[[up]]\nfrom = \""+text+"\"\ndo = \"restart\"\n")
		for version, holds := range maps.All(want) {
			older := w.pack("visits", version, "")
			older.Describe.Tables, newer.Describe.Tables = nil, nil
			_, err := appup.Compile(older.Appup(), newer.Appup())
			if errors.Is(err, appup.ErrNoAppup) == holds {
				t.Errorf("%s and %s: %v", text, version, err)
			}
		}
	}
}
