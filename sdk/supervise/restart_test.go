package supervise

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// permanent_normal, permanent_shutdown, permanent_abnormal, transient_..., temporary_...: who is started again.
func TestRestartTypes(t *testing.T) {
	reasons := map[string]error{
		"normal": ErrNormal, "nil": nil, "shutdown": ErrShutdown,
		"shutdown with a term": fmt.Errorf("enough: %w", ErrShutdown), "abnormal": errCrash,
	}
	for name, reason := range reasons {
		for restart, kind := range map[Restart]func(*ChildSpec){
			Permanent: func(*ChildSpec) {}, Transient: transient, Temporary: temporary,
		} {
			t.Run(restart.String()+"_"+name, func(t *testing.T) {
				bubble(t, func(w *world) {
					w.run(Flags{}, w.spec("a", kind))
					w.exit("a", reason)
					again := restart == Permanent || restart == Transient && name == "abnormal"
					switch {
					case again:
						w.children("a:running")
						w.wrote("+a +a")
					case restart == Temporary:
						w.children("")
					default:
						w.children("a:terminated")
					}
					switch {
					case again:
						w.reported("exited a")
					case name == "abnormal":
						w.reported("exited a", "ended a")
					default:
						w.reported("ended a")
					}
				})
			})
		}
	}
}

// temporary_bystander: with one_for_all and rest_for_one temporary children are stopped with the others, and gone.
func TestTemporaryBystander(t *testing.T) {
	for _, s := range []Strategy{OneForAll, RestForOne} {
		t.Run(s.String(), func(t *testing.T) {
			bubble(t, func(w *world) {
				w.run(Flags{Strategy: s}, w.spec("a"), w.spec("b", temporary), w.spec("c"))
				w.exit("a", errCrash)
				w.wrote("+a +b +c -c -b +a +c")
				w.children("a:running c:running")
			})
		})
	}
}

func TestOneForOne(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{}, w.spec("a"), w.spec("b"), w.spec("c"))
		w.exit("b", errCrash)
		w.wrote("+a +b +c +b")
		w.children("a:running b:running c:running")
	})
}

func TestOneForAll(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Strategy: OneForAll}, w.spec("a"), w.spec("b"), w.spec("c"))
		w.exit("b", errCrash)
		w.wrote("+a +b +c -c -a +a +b +c")
	})
}

func TestRestForOne(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Strategy: RestForOne}, w.spec("a"), w.spec("b"), w.spec("c"))
		w.exit("b", errCrash)
		w.wrote("+a +b +c -c +b +c")
	})
}

func TestSimpleOneForOne(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Strategy: Dynamic})
		for _, id := range []string{"a", "b"} {
			_, err := w.sup.StartChild(w.Context(), w.spec(id))
			w.must(err)
		}
		w.exit("b", errCrash)
		w.wrote("+a +b +b")
	})
}

// one_for_one_escalation and its like: too many restarts end the supervisor and all its children.
func TestEscalation(t *testing.T) {
	for _, s := range []Strategy{OneForOne, OneForAll, RestForOne} {
		t.Run(s.String(), func(t *testing.T) {
			bubble(t, func(w *world) {
				w.run(Flags{Strategy: s, Intensity: NoRestarts}, w.spec("a"), w.spec("b"), w.spec("c"))
				w.exit("b", errCrash)
				err := w.ended()
				w.is(err, ErrIntensity)
				w.is(err, ErrShutdown) // as a child it has not failed, in OTP's eyes
				w.wrote("+a +b +c -c -a")
				w.reported("exited b", "gave_up b")
			})
		})
	}
}

func TestSimpleOneForOneEscalation(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Strategy: Dynamic, Intensity: NoRestarts})
		for _, id := range []string{"a", "b"} {
			_, err := w.sup.StartChild(w.Context(), w.spec(id))
			w.must(err)
		}
		w.exit("a", errCrash)
		w.is(w.ended(), ErrIntensity)
		w.wrote("+a +b -b")
	})
}

// one_for_all_other_child_fails_restart: it is tried again from the one that failed, with all others.
func TestOneForAllOtherChildFailsRestart(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Strategy: OneForAll, Intensity: 2}, w.spec("a"), w.spec("b"), w.spec("c"))
		w.kids["b"].fails = 1
		w.exit("a", errCrash)
		w.wrote("+a +b +c -c -b +a !b -a +a +b +c")
		w.children("a:running b:running c:running")
	})
}

func TestRestForOneOtherChildFailsRestart(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Strategy: RestForOne, Intensity: 2}, w.spec("a"), w.spec("b"), w.spec("c"))
		w.kids["b"].fails = 1
		w.exit("a", errCrash)
		w.wrote("+a +b +c -c -b +a !b +b +c")
	})
}

// simple_one_for_one_restart_ignore
func TestSimpleOneForOneRestartIgnore(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Strategy: Dynamic})
		_, err := w.sup.StartChild(w.Context(), w.spec("a"))
		w.must(err)
		w.kids["a"].ignore = true
		w.exit("a", errCrash)
		w.children("")
	})
}

// A static child that ignores its restart is terminated and stays.
func TestRestartIgnore(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{}, w.spec("a"))
		w.kids["a"].ignore = true
		w.exit("a", errCrash)
		w.children("a:terminated")
	})
}

// multiple_restarts: each failed try counts, so a child that never comes up ends the supervisor at once.
func TestMultipleRestarts(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Intensity: 3, Period: time.Minute}, w.spec("a"))
		w.kids["a"].fails = 100
		w.exit("a", errCrash)
		w.is(w.ended(), ErrIntensity)
		w.wrote("+a !a !a !a")
	})
}

// hanging_restart_loop and its variants: the supervisor answers and can be stopped while a child does not come up.
func TestHangingRestartLoop(t *testing.T) {
	for _, s := range []Strategy{OneForOne, OneForAll, RestForOne, Dynamic} {
		t.Run(s.String(), func(t *testing.T) {
			bubble(t, func(w *world) {
				if s == Dynamic {
					w.run(Flags{Strategy: s, Intensity: 1 << 30})
					_, err := w.sup.StartChild(w.Context(), w.spec("a"))
					w.must(err)
				} else {
					w.run(Flags{Strategy: s, Intensity: 1 << 30}, w.spec("a"))
				}
				w.kids["a"].fails = 1 << 30
				w.kids["a"].tell <- errCrash
				w.tried("a", 10)
				w.children("a:restarting")
				_, err := w.sup.StartChild(w.Context(), ChildSpec{ID: "a", Start: Go(nil)})
				w.is(err, ErrAlreadyStarted)
				if s != Dynamic {
					w.is(w.sup.DeleteChild(w.Context(), "a"), ErrRestarting)
					_, err = w.sup.RestartChild(w.Context(), "a")
					w.is(err, ErrRestarting)
				}
				w.must(w.sup.TerminateChild(w.Context(), "a"))
				if s != Dynamic {
					w.children("a:terminated")
					w.must(w.sup.DeleteChild(w.Context(), "a"))
				}
				w.children("")
				w.alive()
			})
		})
	}
}

// tried returns when a child was started so often. Time stands still meanwhile: the supervisor is never idle.
func (w *world) tried(id string, times int) {
	w.Helper()
	for n := 0; n < times; {
		w.must(w.sup.do(w.Context(), func(*run) { n = w.kids[id].starts }))
	}
}

// Seconds are whole, and a restart exactly Period ago still counts: OTP's way of counting, to the letter.
func TestIntensityCountsAsOTPDoes(t *testing.T) {
	for _, c := range []struct {
		name string
		at   []time.Duration // of the crashes, from the start of the supervisor
		ends bool
	}{
		{"two at once", []time.Duration{0, 0}, false},
		{"three at once", []time.Duration{0, 0, 0}, true},
		{"the third at the very edge", []time.Duration{0, 0, 5 * time.Second}, true},
		{"the third within the second of the edge", []time.Duration{0, 0, 5*time.Second + 999*time.Millisecond}, true},
		{"the third a second past it", []time.Duration{0, 0, 6 * time.Second}, false},
		{"late in the first second", []time.Duration{999 * time.Millisecond, 999 * time.Millisecond, 5999 * time.Millisecond}, true},
		{"steadily, one in three seconds", []time.Duration{0, 3 * time.Second, 6 * time.Second, 9 * time.Second}, false},
		{"steadily, one in two seconds", []time.Duration{0, 2 * time.Second, 4 * time.Second}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(w *world) {
				began := time.Now()
				w.run(Flags{Intensity: 2, Period: 5 * time.Second}, w.spec("a"))
				for i, at := range c.at {
					time.Sleep(time.Until(began.Add(at)))
					w.exit("a", errCrash)
					if i < len(c.at)-1 {
						w.alive()
					}
				}
				if c.ends {
					w.is(w.ended(), ErrIntensity)
				} else {
					w.alive()
				}
			})
		})
	}
}

// The default is one restart within five seconds.
func TestDefaultIntensity(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{}, w.spec("a"))
		w.exit("a", errCrash)
		w.alive()
		w.exit("a", errCrash)
		w.is(w.ended(), ErrIntensity)
	})
}

// tree: a supervisor that gives up is a child that ended; its permanent parent restarts it whole, until it gives up too.
func TestTree(t *testing.T) {
	bubble(t, func(w *world) {
		low, err := New(Flags{Intensity: NoRestarts, Strategy: OneForAll}, w.spec("a"), w.spec("b"))
		w.must(err)
		w.run(Flags{Intensity: 1}, Sup("low", low), w.spec("c"))
		w.wrote("+a +b +c")
		n, err := w.sup.Count(w.Context())
		w.must(err)
		if n != (Count{Specs: 2, Active: 2, Supervisors: 1, Workers: 1}) {
			t.Errorf("count is %+v", n)
		}
		w.exit("a", errCrash)
		w.wrote("-b +a +b")
		w.alive()
		w.exit("b", errCrash)
		w.is(w.ended(), ErrIntensity)
		w.wrote("-a -c")
	})
}

// A panic is an exit with its stack, not the end of the program.
func TestPanicIsAnExit(t *testing.T) {
	bubble(t, func(w *world) {
		var last error
		crash := make(chan bool)
		spec := ChildSpec{ID: "a", Start: Go(func(ctx context.Context, ready func()) error {
			ready()
			select {
			case <-crash:
				panic("ouch")
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})}
		w.run(Flags{Report: func(r Report) {
			if r.Event == Exited {
				last = r.Reason
			}
		}}, spec)
		crash <- true
		synctest.Wait()
		w.children("a:running")
		var p *PanicError
		if !errors.As(last, &p) || p.Value != "ouch" || len(p.Stack) == 0 {
			t.Errorf("reason is %v", last)
		}
	})
}

// child_unlink: an end that came while the supervisor did something else is not lost.
func TestExitDuringAnotherStop(t *testing.T) {
	bubble(t, func(w *world) {
		w.run(Flags{Intensity: 5}, w.spec("a"), w.spec("b", within(Infinity)), w.spec("c"))
		w.kids["b"].slow = time.Minute
		go func() { w.must(w.sup.TerminateChild(w.Context(), "b")) }()
		synctest.Wait()
		w.exit("a", errCrash)
		w.exit("c", errCrash)
		w.wrote("+a +b +c")
		time.Sleep(2 * time.Minute)
		w.wrote("-b +a +c")
		w.children("a:running b:terminated c:running")
	})
}

// Two children end in one instant: the restart for the first one waits for the end of the second, which has come already.
func TestChildrenThatFailTogether(t *testing.T) {
	for _, strategy := range []Strategy{OneForOne, OneForAll, RestForOne} {
		bubble(t, func(w *world) {
			w.run(Flags{Strategy: strategy, Intensity: 5}, w.spec("a"), w.spec("b"))
			w.wrote("+a +b")
			w.must(w.sup.do(w.Context(), func(*run) {
				w.kids["a"].tell <- errCrash
				time.Sleep(time.Second)
				w.kids["b"].tell <- errCrash
				time.Sleep(time.Second) // both ends wait in the mailbox
			}))
			time.Sleep(time.Minute)
			w.wrote("+a +b")
			w.children("a:running b:running")
		})
	}
}
