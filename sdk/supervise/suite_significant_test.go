package supervise

import (
	"errors"
	"fmt"
	"testing"
)

func auto(a AutoShutdown) Flags { return Flags{Intensity: 5, AutoShutdown: a} }

func nonsignificantTemporary(w *world) {
	for _, a := range []AutoShutdown{NeverShutdown, AnySignificant, AllSignificant} {
		w := newWorld(w.T).begin(auto(a))
		w.add(w.spec("child1", temporary))
		w.terminate("child1")
		for _, reason := range []error{ErrKilled, errCrash, nil} {
			w.add(w.spec("child1", temporary))
			w.end("child1", reason)
			w.wantUp()
		}
		w.stop()
	}
}

func nonsignificantTransient(w *world) {
	for _, a := range []AutoShutdown{NeverShutdown, AnySignificant, AllSignificant} {
		w := newWorld(w.T).begin(auto(a))
		w.add(w.spec("child1", transient))
		w.terminate("child1")
		w.restart("child1")
		for _, reason := range []error{ErrKilled, errCrash, nil} {
			w.end("child1", reason)
			w.wantUp()
		}
		w.stop()
	}
}

// three are two significant children and one that is not.
func three(w *world, restart func(*ChildSpec), a AutoShutdown) *world {
	w = newWorld(w.T).begin(auto(a))
	w.add(w.spec("child1", restart, significant))
	w.add(w.spec("child2", restart, significant))
	w.add(w.spec("child3", restart))
	return w
}

func significantTemporary(w *world) {
	terminated := three(w, temporary, AnySignificant)
	terminated.terminate("child1")
	terminated.wantWhich("child3:running child2:running")
	terminated.add(terminated.spec("child1", temporary, significant))
	terminated.end("child1", ErrKilled)
	terminated.wantDown()
	for _, reason := range []error{errCrash, nil} {
		w := three(w, temporary, AnySignificant)
		w.end("child1", reason)
		var why *SignificantError
		if err := w.wantDown(); !errors.As(err, &why) || why.ID != "child1" {
			w.Errorf("got %v", err)
		}
	}
	all := three(w, temporary, AllSignificant)
	all.end("child1", nil)
	all.wantWhich("child3:running child2:running")
	all.end("child2", nil)
	all.wantDown()
}

func significantTransient(w *world) {
	w1 := three(w, transient, AnySignificant)
	w1.terminate("child1")
	w1.wantWhich("child3:running child2:running child1:stopped")
	w1.restart("child1")
	for _, reason := range []error{ErrKilled, errCrash} {
		w1.end("child1", reason)
		w1.wantWhich("child3:running child2:running child1:running")
	}
	w1.end("child1", nil)
	w1.wantDown()
	all := three(w, transient, AllSignificant)
	all.end("child1", nil)
	all.wantWhich("child3:running child2:running child1:stopped")
	all.end("child2", nil)
	all.wantDown()
}

func significantSimple(w *world) {
	for _, a := range []AutoShutdown{AnySignificant, AllSignificant} {
		w.wantErr(w.try(Flags{Strategy: SimpleOneForOne, AutoShutdown: a}, w.spec("child1")), ErrBadCombination)
	}
	w.begin(Flags{Strategy: SimpleOneForOne}, w.spec("child1")).stop()
}

func significantBystander(w *world) {
	ends := map[Strategy]string{
		OneForOne:  "-child2 +child2",
		OneForAll:  "-child2 -child3 -child1 +child1 +child2 +child3",
		RestForOne: "-child2 -child3 +child2 +child3",
	}
	for s, want := range ends {
		for _, a := range []AutoShutdown{AnySignificant, AllSignificant} {
			w := newWorld(w.T).begin(Flags{Strategy: s, Intensity: 5, AutoShutdown: a})
			w.add(w.spec("child1", transient, significant))
			w.add(w.spec("child2", transient))
			w.add(w.spec("child3", transient, significant))
			w.order()
			w.end("child2", ErrKilled)
			w.wantOrder(want)
			w.wantUp()
			w.stop()
		}
	}
}

func significantEscalation(w *world) {
	for _, passedOn := range []bool{true, false} {
		w := newWorld(w.T).begin(auto(AnySignificant))
		below := ChildSpec{
			ID: "sup1", Restart: Transient, Significant: passedOn,
			Tree: &Spec{Flags: auto(AnySignificant), Children: []ChildSpec{w.spec("child1", transient, significant)}},
		}
		w.add(below)
		w.end("child1", nil)
		if passedOn {
			w.wantDown()
			continue
		}
		w.wantWhich("sup1:stopped")
		w.stop()
	}
}

func upgrade(w *world, a AutoShutdown, specs ...ChildSpec) {
	w.Helper()
	if err := w.sup.ChangeSpecs(w.Context(), auto(a), specs...); err != nil {
		w.Fatal(err)
	}
}

func significantChild(w *world, id string) ChildSpec { return w.spec(id, transient, significant) }

// fromNever starts without auto-shutdown, is refused a significant child, and changes.
func fromNever(w *world, to AutoShutdown) {
	w.begin(auto(NeverShutdown))
	_, err := w.sup.StartChild(w.Context(), significantChild(w, "child1"))
	w.wantErr(err, ErrBadCombination)
	upgrade(w, to)
	w.add(significantChild(w, "child1"))
	w.add(significantChild(w, "child2"))
	w.end("child1", nil)
}

func significantUpgradeNeverAny(w *world) {
	fromNever(w, AnySignificant)
	w.wantDown()
}

func significantUpgradeNeverAll(w *world) {
	fromNever(w, AllSignificant)
	w.wantUp()
	w.end("child2", nil)
	w.wantDown()
}

func toNever(w *world, from AutoShutdown) {
	w.begin(auto(from))
	w.add(significantChild(w, "child1"))
	upgrade(w, NeverShutdown)
	w.wantWhich("child1:running")
	_, err := w.sup.StartChild(w.Context(), significantChild(w, "child2"))
	w.wantErr(err, ErrBadCombination)
	w.end("child1", nil)
	w.wantUp()
	w.restart("child1")
	w.stop()
}

func significantUpgradeAnyNever(w *world) { toNever(w, AnySignificant) }
func significantUpgradeAllNever(w *world) { toNever(w, AllSignificant) }

func between(w *world, from, to AutoShutdown) {
	w.begin(auto(from))
	w.add(significantChild(w, "child1"))
	w.add(significantChild(w, "child2"))
	upgrade(w, to)
	w.wantWhich("child2:running child1:running")
	w.end("child1", nil)
}

func significantUpgradeAnyAll(w *world) {
	between(w, AnySignificant, AllSignificant)
	w.wantUp()
	w.end("child2", nil)
	w.wantDown()
}

func significantUpgradeAllAny(w *world) {
	between(w, AllSignificant, AnySignificant)
	w.wantDown()
}

func significantUpgradeChild(w *world) {
	w1 := newWorld(w.T)
	plain, marked := w1.spec("child", transient), significantChild(w1, "child")
	w1.begin(auto(NeverShutdown), plain)
	w1.wantErr(w1.sup.ChangeSpecs(w1.Context(), auto(NeverShutdown), marked), ErrBadCombination)
	w1.wantWhich("child:running")
	w1.stop()

	w2 := newWorld(w.T)
	w2.begin(auto(AnySignificant), w2.spec("child", transient))
	upgrade(w2, AnySignificant, significantChild(w2, "child"))
	w2.wantWhich("child:running")
	w2.end("child", nil)
	w2.wantDown()

	w3 := newWorld(w.T)
	w3.begin(auto(AnySignificant), significantChild(w3, "child"))
	upgrade(w3, AnySignificant, w3.spec("child", transient))
	w3.end("child", nil)
	w3.wantWhich("child:stopped")
	w3.stop()
}

func TestSignificantChildrenThatAreRefused(t *testing.T) {
	start := Func(nil)
	for _, c := range []struct {
		flags Flags
		spec  ChildSpec
		want  error
	}{
		{auto(NeverShutdown), ChildSpec{Restart: Transient}, ErrBadCombination},
		{auto(NeverShutdown), ChildSpec{Restart: Temporary}, ErrBadCombination},
		{auto(AnySignificant), ChildSpec{Restart: Permanent}, ErrBadCombination},
		{auto(AllSignificant), ChildSpec{Restart: Permanent}, ErrBadCombination},
		{auto(AnySignificant), ChildSpec{Restart: Transient}, nil},
		{auto(AllSignificant), ChildSpec{Restart: Temporary}, nil},
	} {
		t.Run(fmt.Sprint(c.flags.AutoShutdown, " ", c.spec.Restart), func(t *testing.T) {
			c.spec.ID, c.spec.Start, c.spec.Significant = "child", start, true
			if err := CheckSpecs(c.flags, c.spec); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}
