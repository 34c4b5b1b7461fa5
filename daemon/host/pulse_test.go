package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/release"
)

const hungText = "hung: it gave no answer for 10s and was killed"

// watched has processes of a yard answer as slowly as it says, and the host look after them.
type watched struct {
	*yard
	mu   sync.Mutex
	slow map[string]time.Duration
}

func inWatchedYard(t *testing.T, f func(w *watched)) {
	t.Helper()
	inYard(t, func(y *yard) {
		w := &watched{yard: y, slow: map[string]time.Duration{}}
		bring := y.bring
		y.Host.bring = func(ctx context.Context, p release.Package) (upgrades.Instance, error) {
			in, err := bring(ctx, p)
			if err == nil {
				w.attend(in.(*hull))
			}
			return in, err
		}
		f(w)
	})
}

func (w *watched) attend(h *hull) {
	s := w.service(h.pkg.Name)
	p := pulse{heed: func(err error) { s.pulse(h, err == nil) }}
	p.ask = func(ctx context.Context) error {
		w.mu.Lock()
		slow := w.slow[h.ID()]
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(slow):
			return nil
		}
	}
	go p.run(w.life, h.done)
}

// answers says how long the running process of a service takes to answer.
func (w *watched) answers(name string, slow time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow[w.hull(name).ID()] = slow
}

func (w *watched) start(liveness release.Liveness, names ...string) {
	w.serve(names...)
	members := map[string]release.Member{}
	for _, name := range names {
		w.attend(w.hull(name))
		members[name] = release.Member{Liveness: liveness}
	}
	w.declare(nil, members)
}

const never = time.Duration(1<<63 - 1)

func (h *hull) hang(why string) bool {
	if s := h.yard.service(h.pkg.Name); s.mu.TryLock() {
		s.mu.Unlock()
		h.yard.Error("an upgrade could take the service between its judgement and the kill")
	}
	h.end(why)
	return true
}

func TestServiceThatHangsIsRestarted(t *testing.T) {
	inWatchedYard(t, func(w *watched) {
		w.start(release.Liveness(10*time.Second), "a", "b")
		w.answers("a", never)
		began := time.Now()
		<-w.hull("a").done
		if took := time.Since(began); took < 10*time.Second || took > 12*time.Second {
			t.Errorf("after %s", took)
		}
		w.wrote("+a")
		w.noted("crashed a", "restarted a")
		w.states("a:running b:running")
		for _, n := range w.Tree().Children {
			if want := map[string]string{"a": hungText, "b": ""}[n.Name]; n.LastEnd != want {
				t.Errorf("%s: %q", n.Name, n.LastEnd)
			}
		}
		time.Sleep(time.Hour)
		w.wrote("")
	})
}

// What is slow, also for ever, does not hang: an answer counts however late it comes within the bound.
func TestSlowServiceIsNotKilled(t *testing.T) {
	inWatchedYard(t, func(w *watched) {
		w.start(release.Liveness(10*time.Second), "a")
		w.answers("a", 9*time.Second)
		time.Sleep(24 * time.Hour)
		w.wrote("")
	})
}

func TestHangingIsCountedAsAnyOtherFailure(t *testing.T) {
	inWatchedYard(t, func(w *watched) {
		w.start(release.Liveness(time.Second), "a")
		for range 3 {
			w.answers("a", never)
			<-w.hull("a").done
			synctest.Wait()
		}
		w.wrote("+a +a +a")
		w.states("a:running")
	})
}

func TestWhoIsNotJudgedForItsSilence(t *testing.T) {
	t.Run("the liveness is off", func(t *testing.T) {
		inWatchedYard(t, func(w *watched) {
			w.start(release.NoLiveness, "a")
			w.answers("a", never)
			time.Sleep(time.Hour)
			w.wrote("")
		})
	})
	t.Run("an upgrade has it, which has rules of its own", func(t *testing.T) {
		inWatchedYard(t, func(w *watched) {
			w.start(0, "a")
			w.Take("a")
			w.answers("a", never)
			time.Sleep(time.Hour)
			w.wrote("")
			w.Give("a", w.hull("a")) // and it has its whole time from here on
			began := time.Now()
			<-w.hull("a").done
			if took := time.Since(began); took < release.DefaultLiveness-time.Second {
				t.Errorf("after %s", took)
			}
		})
	})
	t.Run("its supervisor stops it, within its shutdown", func(t *testing.T) {
		inWatchedYard(t, func(w *watched) {
			w.start(release.Liveness(time.Second), "a")
			w.declare(nil, map[string]release.Member{"a": {Liveness: release.Liveness(time.Second), Shutdown: release.Shutdown(time.Minute)}})
			w.deaf["a"] = true
			w.answers("a", never)
			began := time.Now()
			if err := w.Shutdown(context.Background()); err != nil || time.Since(began) != time.Minute {
				t.Errorf("%v after %s", err, time.Since(began))
			}
		})
	})
}

// The real thing: nobody is asked but the process, and a process that stands still says nothing.
func TestStoppedProcessIsKilledAndRestarted(t *testing.T) {
	f := newFixture(t, testDir(t))
	noted := make(chan control.Event, 100)
	f.o.Note = func(e control.Event) { noted <- e }
	in := f.serve("1.0.0")
	f.Supervise(release.Supervision{Services: map[string]release.Member{"fake": {Liveness: release.Liveness(2 * time.Second)}}}, nil)
	f.signal(in, syscall.SIGSTOP)
	s := f.until("another process", func(s control.ServiceStatus) bool {
		return s.State == stateRunning && s.PID != 0 && s.PID != in.record.PID
	})
	if s.Restarts != 1 || f.answer() != fmt.Sprint(s.PID) {
		t.Errorf("status %+v", s)
	}
	if e := <-noted; e.Kind != "crashed" || !strings.Contains(e.Reason, "no answer for 2s") {
		t.Errorf("noted %+v", e)
	}
	if err := in.Health(t.Context()); !errors.Is(err, upgrades.ErrGone) || !strings.Contains(err.Error(), "no answer for 2s") {
		t.Errorf("a dead process answers %v", err)
	}
}
