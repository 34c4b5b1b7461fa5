package upgrades

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// fleet is a world where three services that require one another are to change together.
func fleet(t *testing.T, tell func(t *testing.T, w *world, d *daemon)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := scenario{before: chain}.set(t)
		d := w.boot()
		defer d.end()
		must(t, d.e.Boot(t.Context()))
		w.calls = nil
		tell(t, w, d)
		if f := w.faults(d.e); len(f) > 0 {
			t.Errorf("%s\n%s", strings.Join(f, "\n"), w.story())
		}
	})
}

// order are the services in which a kind of call was made to a version.
func (w *world) order(kind, version string) string {
	var list []string
	for _, c := range w.calls {
		f := strings.Fields(c)
		if f[0] == kind && f[len(f)-1] == version && !slices.Contains(list, f[1]) {
			list = append(list, f[1])
		}
	}
	return strings.Join(list, " ")
}

func TestServicesGoOverInTheOrderOfWhatTheyRequire(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, d *daemon) {
		must(t, go2(d))
		if got := w.order("activate", "2.0.0"); got != "cache visits app" {
			t.Errorf("up: %s", got)
		}
		last := slices.Index(w.calls, "rehearse app 2.0.0")
		if first := slices.Index(w.calls, "release cache 1.0.0"); last < 0 || first < last {
			t.Error("one goes over before all are rehearsed")
		}
		w.calls = nil
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		must(t, d.e.Wait(t.Context()))
		if got := w.order("activate", "1.0.0"); got != "app visits cache" {
			t.Errorf("down: %s", got)
		}
	})
}

// Whichever of the new versions dies, all go back together, the last one first.
func TestAllGoBackWhenOneOfThemDies(t *testing.T) {
	for _, victim := range []string{"cache", "visits", "app"} {
		fleet(t, func(t *testing.T, w *world, d *daemon) {
			go func() {
				time.Sleep(2 * time.Second)
				w.with(func() { w.calls = nil; w.kill(w.active(victim)) })
			}()
			wantCode(t, go2(d), "rolled_back", victim)
			if got := w.order("activate", "1.0.0"); got != "app visits cache" {
				t.Errorf("%s died: %s", victim, got)
			}
		})
	}
}

// A service that cannot go over takes those back that have gone.
func TestAllGoBackWhenOneDoesNotLetGo(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, d *daemon) {
		w.script = on("release app 1.0.0", busy)
		wantCode(t, go2(d), "aborted", "app: let go")
		if got := w.order("activate", "1.0.0"); got != "visits cache" {
			t.Errorf("back: %s", got)
		}
		if w.lost() > 0 {
			t.Error("connections were cut")
		}
	})
}

// The daemon dies between the switches of two services: without the commit all are back, with it all are over.
func TestDaemonDiesBetweenTwoSwitches(t *testing.T) {
	for call, want := range map[string]string{
		"activate cache 2.0.0": "1.0.0", "activate visits 2.0.0": "1.0.0", "release app 1.0.0": "1.0.0",
		"journal committed": "2.0.0", "activate app 2.0.0": "2.0.0",
	} {
		for _, power := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s := scenario{before: chain}
				w := s.set(t)
				d, crashed, _ := s.play(w, on(call, crashAfter))
				d.end()
				if !crashed {
					t.Fatalf("%s never came", call)
				}
				if power {
					w.powerFails()
				}
				d = rest(w)
				defer d.end()
				version := want
				if power && !slices.Contains(w.kinds(), string(Committed)) {
					version = "1.0.0"
				}
				for _, service := range []string{"cache", "visits", "app"} {
					if p := w.active(service); p == nil || p.pkg.Version != version {
						t.Errorf("%s, power %v: %v serves of %s, want %s", call, power, p, service, version)
					}
				}
				if f := w.faults(d.e); len(f) > 0 {
					t.Errorf("%s, power %v: %s\n%s", call, power, strings.Join(f, "\n"), w.story())
				}
			})
		}
	}
}

func TestPlanOfTheWayBack(t *testing.T) {
	fleet(t, func(t *testing.T, w *world, d *daemon) {
		_, err := d.e.Plan(t.Context(), control.PlanRequest{Rollback: true})
		wantCode(t, err, "no_release", "before v1")
		_, err = d.e.Plan(t.Context(), control.PlanRequest{Rollback: true, To: "v2"})
		wantCode(t, err, "no_release", "v2 is above what runs now")
		w.with(func() { w.script = on("rehearse app 2.0.0", hang) })
		ended := make(chan error, 1)
		go func() { ended <- d.e.Upgrade(t.Context(), control.UpgradeRequest{}, nil) }()
		time.Sleep(time.Second)
		p, err := d.e.Plan(t.Context(), control.PlanRequest{Rollback: true})
		must(t, err)
		if p.From != "v2" || p.To != "v1" || !strings.HasPrefix(lines(p), "aborted the upgrade to v2 is called off; v1 serves on\nstop stop cache 2.0.0") {
			t.Error(lines(p))
		}
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		<-ended
		w.with(func() { w.script = nil })
		must(t, d.e.Wait(t.Context()))

		go func() { ended <- d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v2"}, nil) }()
		time.Sleep(2 * time.Second)
		p, err = d.e.Plan(t.Context(), control.PlanRequest{Rollback: true})
		must(t, err)
		var services []string
		for _, s := range p.Steps[:3] {
			services = append(services, s.Name+" "+s.Service)
		}
		if got := strings.Join(services, ", "); got != "switch app, switch visits, switch cache" || p.Steps[3].Name != "rolled_back" {
			t.Error(lines(p))
		}
		_, err = d.e.Plan(t.Context(), control.PlanRequest{Rollback: true, To: "v7"})
		wantCode(t, err, "busy", "probation")
		must(t, <-ended)
		must(t, d.e.Wait(t.Context()))
		p, err = d.e.Plan(t.Context(), control.PlanRequest{Rollback: true})
		must(t, err)
		if p.To != "v1" || !p.Down || p.Digest == "" {
			t.Errorf("%+v", p)
		}
	})
}
