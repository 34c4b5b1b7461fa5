package upgrades

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

// signed is a package with a time of its signature.
func (w *world) signed(version string, seq int64) release.Package {
	more := upFrom1
	if version == "1.0.0" {
		more = ""
	}
	p := w.pack("visits", version, more)
	p.Seq = seq
	w.store[p.Digest] = p
	return p
}

func TestAKeyThatWasRevokedInstallsNothingAndKillsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.boot()
		mustBuild(t, d.e, []release.Package{w.signed("1.0.0", 1)})
		must(t, d.e.Boot(t.Context()))
		mustBuild(t, d.e, []release.Package{w.signed("2.0.0", 2)})
		w.doubted = map[string]bool{"1.0.0": true, "2.0.0": true}
		wantCode(t, second(d.e.Plan(t.Context(), control.PlanRequest{})), "untrusted", "was revoked")
		wantCode(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v2"}, nil), "untrusted", "was revoked")

		d.end()
		d = rest(w) // the daemon starts again, and so does what serves
		if name, _ := d.e.Current(); name != "v1" {
			t.Errorf("%s serves", name)
		}
		w.doubted = map[string]bool{}
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v2"}, nil))
		w.doubted = map[string]bool{"1.0.0": true}
		wantCode(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil), "untrusted", "was revoked")
		d.end()
	})
}

func TestAKeyThatIsRevokedInProbationKeepsNobodyFromGoingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.boot()
		defer d.end()
		mustBuild(t, d.e, []release.Package{w.signed("1.0.0", 1)})
		must(t, d.e.Boot(t.Context()))
		mustBuild(t, d.e, []release.Package{w.signed("2.0.0", 2)})
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v2", Hold: true}, nil))
		w.doubted = map[string]bool{"1.0.0": true, "2.0.0": true}
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		if name, _ := d.e.Current(); name != "v1" {
			t.Errorf("%s serves", name)
		}
	})
}

func TestWhatWasSignedEarlierIsNotGoneDownToUnlessItServedHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.boot()
		mustBuild(t, d.e, []release.Package{w.signed("1.0.0", 10)})
		must(t, d.e.Boot(t.Context()))
		if got := d.e.Seq("visits"); got != 10 {
			t.Errorf("seq %d after the first release", got)
		}
		mustBuild(t, d.e, []release.Package{w.signed("2.0.0", 30)})
		must(t, d.e.Upgrade(t.Context(), control.UpgradeRequest{To: "v2"}, nil))
		mustBuild(t, d.e, []release.Package{w.signed("1.0.1", 20)}) // v3: what somebody kept
		wantCode(t, second(d.e.Plan(t.Context(), control.PlanRequest{To: "v3"})), "untrusted", "older than what has served here")
		must(t, second(d.e.Plan(t.Context(), control.PlanRequest{To: "v1"})))

		d.end()
		d = rest(w)
		defer d.end()
		if got := d.e.Seq("visits"); got != 30 {
			t.Errorf("seq %d after a restart", got)
		}
		w.signed("1.0.1", 40) // signed again
		must(t, second(d.e.Plan(t.Context(), control.PlanRequest{To: "v3"})))
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{To: "v1"}, nil))
		mustBuild(t, d.e, []release.Package{w.signed("2.0.1", 5)}) // upwards is a matter for whoever asks
		must(t, second(d.e.Plan(t.Context(), control.PlanRequest{To: "v4"})))
	})
}

func TestAPackageThatWasSignedAgainMakesNoOtherRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.boot()
		defer d.end()
		mustBuild(t, d.e, []release.Package{w.signed("1.0.0", 1)})
		if b := mustBuild(t, d.e, []release.Package{w.signed("1.0.0", 2)}); b.New || b.To != "v1" {
			t.Errorf("%+v", b)
		}
	})
}

func TestAVersionThatServedNeverChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.boot()
		defer d.end()
		mustBuild(t, d.e, []release.Package{w.signed("1.0.0", 1)})
		must(t, d.e.Boot(t.Context()))
		other := w.signed("1.0.0", 2)
		other.Digest = "another"
		w.store[other.Digest] = other
		_, err := d.e.Build(t.Context(), []release.Package{other}, "test")
		wantCode(t, err, "bad_package", "a version never changes")
	})
}

func TestAnUpgradeRequestIsGoodForOneUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.boot()
		defer d.end()
		mustBuild(t, d.e, []release.Package{w.signed("1.0.0", 1)})
		must(t, d.e.Boot(t.Context()))
		mustBuild(t, d.e, []release.Package{w.signed("2.0.0", 2)})
		plan, err := d.e.Plan(t.Context(), control.PlanRequest{To: "v2"})
		must(t, err)
		request := control.UpgradeRequest{To: plan.To, Digest: plan.Digest}
		must(t, d.e.Upgrade(t.Context(), request, nil))
		must(t, d.e.Rollback(t.Context(), control.UpgradeRequest{}, nil))
		wantCode(t, d.e.Upgrade(t.Context(), request, nil), "stale_plan", "no longer")
	})
}

// A build that was refused for a missing section, mended, is not "a version that never changes".
func TestARefusedBuildUsesUpNoVersion(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		bad := w.pack("visits", "1.2.0", "")
		for _, bad.Fresh = range []bool{false, true} { // first as one that somebody else has brought
			_, err := d.e.Build(t.Context(), []release.Package{bad}, "test")
			wantCode(t, err, "no_appup", "no way up from 1.0.0 to 1.2.0")
			if _, there := w.store["visits@1.2.0"]; there == bad.Fresh {
				t.Errorf("fresh %t: in the store %t", bad.Fresh, there)
			}
		}
		mended := w.pack("visits", "1.2.0", upFrom1)
		mended.Digest = "mended"
		w.store[mended.Digest] = mended
		if b := mustBuild(t, d.e, []release.Package{mended}); !b.New {
			t.Errorf("%+v", b)
		}
		again := w.pack("visits", "1.2.0", upFrom1)
		no := d.e.Taken(again)
		if no == nil || !strings.Contains(no.Reason, "1.2.0 is in v3 with other content") || !strings.Contains(no.Hint, "reltool remove v3") {
			t.Fatalf("%v", no)
		}
		_, err := d.e.Build(t.Context(), []release.Package{again}, "test")
		wantCode(t, err, "bad_package", "a version never changes")
		must(t, second(remove(t, d, "v3")))
		if no := d.e.Taken(again); no != nil {
			t.Error(no)
		}
		if _, err = d.e.Build(t.Context(), []release.Package{w.pack("visits", "1.0.0", "")}, "test"); err != nil {
			t.Error(err)
		}
		if _, there := w.store["visits@1.0.0"]; !there {
			t.Error("the package of a release went")
		}
	})
}

// A crash between the coming in of a package and its refusal leaves a package that nobody is to find a way through.
func TestWhatNoReleaseHasIsNoWayStation(t *testing.T) {
	story(t, func(t *testing.T, w *world, d *daemon) {
		w.pack("visits", "2.5.0", upFrom1)
		_, err := d.e.Build(t.Context(), []release.Package{w.pack("visits", "3.0.0", strings.ReplaceAll(upFrom1, "^1", "~2.5"))}, "test")
		wantCode(t, err, "no_appup", "no way up from 1.0.0 to 3.0.0")
	})
}
