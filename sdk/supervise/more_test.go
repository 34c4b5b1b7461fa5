package supervise

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// nonsignificant_temporary, nonsignificant_transient: their end ends nobody else.
func TestNonsignificant(t *testing.T) {
	for _, kind := range []func(*ChildSpec){temporary, transient} {
		bubble(t, func(w *world) {
			w.run(Flags{AutoShutdown: AnySignificant}, w.spec("a", kind), w.spec("b"))
			w.exit("a", ErrNormal)
			w.alive()
		})
	}
}

// significant_temporary, significant_transient and significant_simple.
func TestSignificant(t *testing.T) {
	for _, c := range []struct {
		name   string
		auto   AutoShutdown
		kind   func(*ChildSpec)
		exits  []string
		reason error
		ends   bool
	}{
		{"temporary any normal", AnySignificant, temporary, []string{"a"}, ErrNormal, true},
		{"temporary any abnormal", AnySignificant, temporary, []string{"a"}, errCrash, true},
		{"transient any normal", AnySignificant, transient, []string{"a"}, ErrNormal, true},
		{"transient any shutdown", AnySignificant, transient, []string{"b"}, ErrShutdown, true},
		{"transient any abnormal", AnySignificant, transient, []string{"a"}, errCrash, false},
		{"temporary all one", AllSignificant, temporary, []string{"a"}, errCrash, false},
		{"temporary all both", AllSignificant, temporary, []string{"a", "b"}, errCrash, true},
		{"transient all one", AllSignificant, transient, []string{"b"}, ErrNormal, false},
		{"transient all both", AllSignificant, transient, []string{"b", "a"}, ErrNormal, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				w.run(Flags{AutoShutdown: c.auto},
					w.spec("a", c.kind, significant), w.spec("b", c.kind, significant), w.spec("c"))
				for _, id := range c.exits {
					w.exit(id, c.reason)
				}
				if !c.ends {
					w.alive()
					return
				}
				w.is(w.ended(), ErrAutoShutdown)
			})
		})
	}
}

// significant_bystander: ends by the API, or because of a sibling, do not count.
func TestSignificantBystander(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{AutoShutdown: AnySignificant, Strategy: OneForAll},
			w.spec("a"), w.spec("b", transient, significant), w.spec("c", temporary, significant))
		w.must(w.sup.TerminateChild(w.Context(), "b"))
		w.alive()
		w.exit("a", errCrash)
		w.alive()
		w.children("a:running b:running")
	})
}

// significant_escalation: a supervisor that ended with its significant children can be a significant child itself.
func TestSignificantEscalation(t *testing.T) {
	bubble(t, func(w *world) {
		low, err := New(Flags{AutoShutdown: AnySignificant}, w.spec("a", transient, significant))
		w.must(err)
		sup := Sup("low", low)
		sup.Restart, sup.Significant = Transient, true
		w.run(Flags{AutoShutdown: AnySignificant}, w.spec("b"), sup)
		w.exit("a", ErrNormal)
		w.is(w.ended(), ErrAutoShutdown)
		w.wrote("+b +a -b")
	})
}

// significant_upgrade_never_any, _any_never, _never_all, _all_never, _any_all, _all_any.
func TestSignificantUpgrade(t *testing.T) {
	for _, from := range []AutoShutdown{Never, AnySignificant, AllSignificant} {
		for _, to := range []AutoShutdown{Never, AnySignificant, AllSignificant} {
			t.Run(from.String()+"_"+to.String(), func(t *testing.T) {
				bubble(t, func(w *world) {
					specs := func(a AutoShutdown) []ChildSpec {
						list := []ChildSpec{{ID: "a", Start: w.start("a", w.kids["a"]), Restart: Transient}, {ID: "b", Start: w.start("b", w.kids["b"]), Restart: Transient}}
						for i := range list {
							list[i].Significant = a != Never
						}
						return list
					}
					w.spec("a")
					w.spec("b")
					w.run(Flags{AutoShutdown: from}, specs(from)...)
					w.must(w.sup.Change(w.Context(), Flags{AutoShutdown: to}, specs(to)...))
					w.exit("a", ErrNormal)
					if to == AnySignificant {
						w.is(w.ended(), ErrAutoShutdown)
						return
					}
					w.alive()
					w.exit("b", ErrNormal)
					if to == AllSignificant {
						w.is(w.ended(), ErrAutoShutdown)
						return
					}
					w.alive()
				})
			})
		}
	}
}

// count_children, count_children_supervisor and count_restarting_children.
func TestCountChildren(t *testing.T) {
	bubble(t, func(w *world) {
		low, err := New(Flags{})
		w.must(err)
		w.run(Flags{Intensity: 1 << 30}, w.spec("a"), Sup("low", low), w.spec("c"))
		w.must(w.sup.TerminateChild(w.Context(), "c"))
		n, err := w.sup.Count(w.Context())
		w.must(err)
		if want := (Count{Specs: 3, Active: 2, Supervisors: 1, Workers: 2}); n != want {
			t.Errorf("count is %+v, want %+v", n, want)
		}
		w.kids["a"].fails = 1 << 30
		w.kids["a"].tell <- errCrash
		w.tried("a", 3)
		if n, _ = w.sup.Count(w.Context()); n.Active != 1 || n.Specs != 3 {
			t.Errorf("count is %+v", n)
		}
		w.must(w.sup.TerminateChild(w.Context(), "a"))
	})
}

// order_of_children: a child that was started again keeps its place.
func TestOrderOfChildren(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Intensity: 10}, w.spec("a"), w.spec("b"), w.spec("c"))
		_, err := w.sup.StartChild(w.Context(), w.spec("d"))
		w.must(err)
		w.exit("b", errCrash)
		w.must(w.sup.TerminateChild(w.Context(), "a"))
		_, err = w.sup.RestartChild(w.Context(), "a")
		w.must(err)
		w.children("a:running b:running c:running d:running")
		w.cancel(nil)
		w.ended()
		w.wrote("+a +b +c +d +b -a +a -d -c -b -a")
	})
}

// do_not_save_child_specs_for_temporary_children.
func TestTemporaryChildrenLeaveNothing(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{}, w.spec("a"))
		for _, id := range []string{"x", "y"} {
			_, err := w.sup.StartChild(w.Context(), w.spec(id, temporary))
			w.must(err)
		}
		w.must(w.sup.TerminateChild(w.Context(), "x"))
		w.exit("y", errCrash)
		w.children("a:running")
		_, err := w.sup.RestartChild(w.Context(), "x")
		w.is(err, ErrNotFound)
	})
}

// simple_one_for_one_scale_many_temporary_children, scale_start_stop_many_children: the cost does not explode.
func TestScaleManyChildren(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Strategy: Dynamic})
		const many = 5000
		for range many {
			_, err := w.sup.StartChild(w.Context(), w.spec("", temporary))
			w.must(err)
		}
		n, err := w.sup.Count(w.Context())
		w.must(err)
		if n.Active != many {
			t.Errorf("count is %+v", n)
		}
	})
}

// simple_one_for_one_shutdown, and DynamicSupervisor: all are stopped at once, each with its own time.
func TestSimpleOneForOneShutdown(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Strategy: Dynamic})
		for i := range 10 {
			spec := w.spec(fmt.Sprint("k", i), within(time.Duration(i%2+1)*time.Second))
			w.kids[spec.ID].slow = 1500 * time.Millisecond
			_, err := w.sup.StartChild(w.Context(), spec)
			w.must(err)
		}
		_, err := w.sup.StartChild(w.Context(), w.spec("brutal", within(BrutalKill)))
		w.must(err)
		began := time.Now()
		w.cancel(nil)
		w.is(<-w.done, ErrShutdown)
		w.done <- nil
		if took := time.Since(began); took != 1500*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.reports) != 5 { // those that had one second only
			t.Errorf("reports: %q", w.reports)
		}
		w.reports = nil
	})
}

// DynamicSupervisor: max_children.
func TestMaxChildren(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Strategy: Dynamic, MaxChildren: 1})
		info, err := w.sup.StartChild(w.Context(), w.spec("", temporary))
		w.must(err)
		_, err = w.sup.StartChild(w.Context(), w.spec("b"))
		w.is(err, ErrMaxChildren)
		w.must(w.sup.TerminateChild(w.Context(), info.Spec.ID))
		_, err = w.sup.StartChild(w.Context(), w.spec("b"))
		w.must(err)
		_, err = w.sup.RestartChild(w.Context(), "b")
		w.is(err, ErrDynamic)
	})
}

// code_change and code_change_map.
func TestCodeChange(t *testing.T) {
	bubble(t, func(w *world) {
		a, b, c := w.spec("a"), w.spec("b"), w.spec("c")
		w.run(Flags{}, a, b)
		d := b
		d.Restart = Temporary
		w.must(w.sup.Change(w.Context(), Flags{Intensity: 7, Strategy: OneForAll}, c, d))
		w.children("c:terminated b:running a:running") // c is not started, a is not stopped
		w.wrote("+a +b")
		_, err := w.sup.RestartChild(w.Context(), "c")
		w.must(err)
		w.must(w.sup.TerminateChild(w.Context(), "a"))
		w.must(w.sup.DeleteChild(w.Context(), "a"))
		w.exit("b", errCrash)
		w.children("c:running") // b is temporary now
		for _, bad := range []Flags{{Strategy: 9}, {Strategy: Dynamic}} {
			if err := w.sup.Change(w.Context(), bad); err == nil {
				t.Errorf("%v was taken", bad)
			}
		}
		if err := w.sup.Change(w.Context(), Flags{}, a, a); err == nil {
			t.Error("an ID twice was taken")
		}
		w.children("c:running")
	})
}

// code_change_simple
func TestCodeChangeSimple(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Strategy: Dynamic})
		_, err := w.sup.StartChild(w.Context(), w.spec("a"))
		w.must(err)
		w.must(w.sup.Change(w.Context(), Flags{Strategy: Dynamic, Intensity: 10}))
		for range 5 {
			w.exit("a", errCrash)
		}
		w.children("a:running")
		if err := w.sup.Change(w.Context(), Flags{}, w.spec("b")); err == nil {
			t.Error("it became static")
		}
	})
}

// A supervisor that is started again begins with what it was last changed to.
func TestRestartOfASupervisorBeginsWithItsSpecs(t *testing.T) {
	bubble(t, func(w *world) {
		low, err := New(Flags{Intensity: NoRestarts}, w.spec("a"))
		w.must(err)
		w.run(Flags{Intensity: 5}, Sup("low", low))
		_, err = low.StartChild(w.Context(), w.spec("x"))
		w.must(err)
		w.must(low.Change(w.Context(), Flags{Intensity: NoRestarts}, w.spec("b")))
		w.exit("x", errCrash)
		list, err := low.Children(w.Context())
		w.must(err)
		if len(list) != 1 || list[0].Spec.ID != "b" || list[0].State != Running {
			t.Errorf("children are %+v", list)
		}
	})
}

func TestNamesAreOTPs(t *testing.T) {
	text, err := json.Marshal([]any{RestForOne, Transient, AllSignificant, IsSupervisor, Restarting, GaveUp})
	if err != nil || string(text) != `["rest_for_one","transient","all_significant","supervisor","restarting","gave_up"]` {
		t.Errorf("%s %v", text, err)
	}
	var s Strategy
	var r Restart
	if s.UnmarshalText([]byte("one_for_all")) != nil || s != OneForAll || r.UnmarshalText([]byte("none")) == nil {
		t.Errorf("read as %s, %s", s, r)
	}
	if Strategy(9).String() == "" {
		t.Error("a number that is no strategy prints as nothing")
	}
}

// The children of a whole tree stop in reverse, whatever happens meanwhile.
func TestStopWhileChildrenCrash(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Intensity: 100}, w.spec("a"), w.spec("b"))
		w.kids["b"].slow = time.Second
		w.cancel(nil)
		synctest.Wait()
		w.exit("a", errCrash)
		w.is(<-w.done, ErrShutdown)
		w.done <- nil
		w.wrote("+a +b -b")
	})
}
