package supervise

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSpecsAreCheckedWholeBeforeAnythingStarts(t *testing.T) {
	start := Func(func(context.Context) error { t.Error("started"); return nil })
	leaf := ChildSpec{ID: "leaf", Start: start}
	loop := &Spec{Children: []ChildSpec{leaf, {ID: "inner", Tree: &Spec{}}}}
	loop.Children[1].Tree.Children = []ChildSpec{{ID: "again", Tree: loop}}
	shared := &Spec{Children: []ChildSpec{leaf}}
	for _, c := range []struct {
		name string
		spec Spec
		want string // "" is no error
	}{
		{"nothing", Spec{}, ""},
		{
			"duplicate below",
			Spec{Name: "top", Children: []ChildSpec{leaf, {ID: "sup", Tree: &Spec{Children: []ChildSpec{leaf, leaf}}}}},
			"supervise: top/sup/leaf: duplicate child id",
		},
		{
			"a supervisor in itself",
			Spec{Name: "top", Children: []ChildSpec{{ID: "sup", Tree: loop}}},
			"supervise: top/sup/inner/again: a supervisor is its own descendant",
		},
		{"one spec in two places", Spec{Children: []ChildSpec{{ID: "a", Tree: shared}, {ID: "b", Tree: shared}}}, ""},
		{"strategy", Spec{Name: "top", Flags: Flags{Strategy: 9}}, "supervise: top: invalid strategy: found invalid(9)"},
		{
			"period",
			Spec{Flags: Flags{Period: 300 * time.Millisecond}},
			"supervise: invalid period: found 300ms, restarts are counted in whole seconds",
		},
		{
			"no template",
			Spec{Name: "pool", Flags: Flags{Strategy: SimpleOneForOne}},
			"supervise: pool: simple_one_for_one needs exactly one child spec, the template: found 0",
		},
		{"no start", Spec{Name: "top", Children: []ChildSpec{{ID: "a"}}}, "supervise: top/a: missing start: set Start or Tree"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(c.spec)
			var at *SpecError
			if got := fmt.Sprint(err); c.want != "" && (got != c.want || !errors.As(err, &at)) || c.want == "" && err != nil {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestNamesAreOTPs(t *testing.T) {
	type names struct {
		S Strategy
		R Restart
		A AutoShutdown
		T Type
		E State
	}
	in := names{RestForOne, Transient, AnySignificant, TypeSupervisor, Restarting}
	text, err := json.Marshal(in)
	const want = `{"S":"rest_for_one","R":"transient","A":"any_significant","T":"supervisor","E":"restarting"}`
	if err != nil || string(text) != want {
		t.Errorf("got %s %v", text, err)
	}
	var out names
	if err := json.Unmarshal(text, &out); err != nil || out != in {
		t.Errorf("got %+v %v", out, err)
	}
	err = json.Unmarshal([]byte(`{"S":"all_for_one"}`), &out)
	if !errors.Is(err, ErrInvalidStrategy) || !strings.Contains(err.Error(), "one_for_one, one_for_all, rest_for_one, simple_one_for_one") {
		t.Errorf("got %v", err)
	}
	if _, err := Strategy(9).MarshalText(); !errors.Is(err, ErrInvalidStrategy) {
		t.Errorf("got %v", err)
	}
	for _, d := range []time.Duration{BrutalKill, Infinity, 90 * time.Second} {
		if got, err := ParseShutdown(FormatShutdown(d)); err != nil || got != d {
			t.Errorf("%v: %v %v", d, got, err)
		}
	}
	for _, text := range []string{"", "soon", "-1s"} {
		if _, err := ParseShutdown(text); !errors.Is(err, ErrInvalidShutdown) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRunReturnsTheCauseOfItsContext(t *testing.T) {
	virtual(func(w *world) {
		sup, _ := New(Spec{Children: w.specs("a", "b")})
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(w.Context())
		err := sup.Run(ctx, func() { cancel(why) })
		w.wantErr(err, why)
		w.wantAllDead()
		w.wantOrder("+a +b -b -a")
		w.wantErr(sup.Run(ctx, func() {}), ErrRunTwice)
	})(t)
}

func TestCallsWaitForRunAndForTheirContext(t *testing.T) {
	virtual(func(w *world) {
		sup, _ := New(Spec{})
		ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
		defer cancel()
		_, err := sup.Children(ctx)
		w.wantErr(err, context.DeadlineExceeded)
		answered := make(chan error, 1)
		go func() {
			_, err := sup.Count(w.Context())
			answered <- err
		}()
		time.Sleep(time.Hour)
		go func() { _ = sup.Run(w.Context(), func() {}) }()
		w.wantErr(<-answered, nil)
		sup.Stop(nil)
		<-sup.gone
		_, err = sup.Children(ctx)
		w.wantErr(err, context.DeadlineExceeded)
	})(t)
}

// hung is a start that ends only with its context.
func hung(ctx context.Context, _ any, _ func(error)) (Child, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestStopEndsAStartThatHangs(t *testing.T) {
	notReady := Run(func(ctx context.Context, _ func()) error { <-ctx.Done(); return nil })
	for _, c := range []struct {
		name string
		last ChildSpec
	}{
		{"a start", ChildSpec{ID: "c", Start: hung}},
		{"a goroutine that is not ready", ChildSpec{ID: "c", Start: notReady}},
		{"a start in a nested supervisor", ChildSpec{ID: "c", Tree: &Spec{Children: []ChildSpec{{ID: "d", Start: hung}}}}},
	} {
		t.Run(c.name, virtual(func(w *world) {
			sup, err := New(Spec{Children: append(w.specs("a", "b"), c.last, w.spec("e"))})
			if err != nil {
				w.Fatal(err)
			}
			time.AfterFunc(time.Minute, func() { sup.Stop(ErrShutdown) })
			w.wantErr(sup.Run(w.Context(), func() { w.Error("ready") }), ErrShutdown)
			w.wantOrder("+a +b -b -a")
		}))
	}
}

func TestKillEndsATreeWithoutAsking(t *testing.T) {
	virtual(func(w *world) {
		never := w.asking(func(p *proc, _ int) error { p.deaf = true; return nil })
		forever := func(c *ChildSpec) { c.Shutdown = Infinity }
		below := &Spec{Children: []ChildSpec{w.spec("a", never, forever)}}
		w.begin(Flags{}, ChildSpec{ID: "below", Tree: below}, w.spec("b", never, forever))
		began := time.Now()
		w.sup.Stop(ErrShutdown) // would take for ever
		time.Sleep(time.Hour)
		w.wantUp()
		w.sup.Kill()
		w.wantErr(<-w.result, ErrShutdown)
		w.wantAllDead()
		w.wantOrder("+a +b -b -a")
		if took := time.Since(began); took != time.Hour {
			w.Errorf("took %v", took)
		}
	})(t)
}

func TestEndBeforeStartHasReturned(t *testing.T) {
	virtual(func(w *world) {
		n := 0
		w.begin(Flags{}, ChildSpec{ID: "a", Start: func(_ context.Context, _ any, exit func(error)) (Child, error) {
			p := &proc{id: "a", exit: exit, log: w.log}
			if n++; n == 1 {
				exit(errCrash)
				exit(nil) // the first counts
			}
			return p, nil
		}})
		w.wantWhich("a:running")
		if got := w.seen(ChildStarted, ChildTerminated); got != "progress:a:normal child_terminated:a:crash progress:a:normal" {
			w.Errorf("told %q", got)
		}
	})(t)
}

// A transient supervisor that gives up has ended by a shutdown, and is not restarted. OTP's rule, and a surprise.
func TestTransientSupervisorThatGivesUpIsNotRestarted(t *testing.T) {
	virtual(func(w *world) {
		below := &Spec{Flags: Flags{Intensity: NoRestarts}, Children: w.specs("a")}
		w.begin(Flags{}, ChildSpec{ID: "below", Tree: below, Restart: Transient})
		w.end("a", errCrash)
		w.wantWhich("below:stopped")
	})(t)
}

func TestEventsOfATreeReachTheTop(t *testing.T) {
	virtual(func(w *world) {
		var inner []string
		below := &Spec{Children: w.specs("a"), Events: func(e Event) { inner = append(inner, e.Supervisor+" "+e.Kind.String()) }}
		w.begin(Flags{}, ChildSpec{ID: "below", Tree: below})
		w.end("a", errCrash)
		w.stop()
		const want = "progress:a:normal supervisor_up::normal progress:below:normal supervisor_up::normal " +
			"child_terminated:a:crash progress:a:normal child_stopped:a:shutdown supervisor_down::shutdown " +
			"child_stopped:below:shutdown supervisor_down::shutdown"
		every := []EventKind{ChildStarted, ChildTerminated, ChildStopped, SupervisorUp, SupervisorDown, ChildStopFailed}
		if got := w.seen(every...); got != want {
			w.Errorf("got  %s\nwant %s", got, want)
		}
		if len(inner) != 6 || inner[0] != "top/below progress" {
			w.Errorf("below heard %q", inner)
		}
	})(t)
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	hook := LogTo(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	hook(Event{Supervisor: "top", Kind: ChildStarted, ID: "db"})
	hook(Event{Supervisor: "top", Kind: ChildTerminated, ID: "db", Reason: errCrash, Restarts: 2, Report: true})
	const want = "level=INFO msg=progress supervisor=top child=db reason=normal restarts=0\n" +
		"level=ERROR msg=child_terminated supervisor=top child=db reason=crash restarts=2\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}

// command is a process of the operating system as a child.
type command struct{ *exec.Cmd }

func (c command) Stop(error) { c.Kill() }

func (c command) Kill() bool { return c.Process.Kill() == nil }

func startCommand(_ context.Context, _ any, exit func(error)) (Child, error) {
	c := command{exec.Command("sleep", "60")}
	if err := c.Start(); err != nil {
		return nil, err
	}
	go func() { exit(c.Wait()) }()
	return c, nil
}

func TestProcessOfTheSystemIsAChild(t *testing.T) {
	events := make(chan Event, 100)
	sup, err := New(Spec{Children: []ChildSpec{{ID: "sleep", Start: startCommand}}, Events: func(e Event) { events <- e }})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- sup.Run(t.Context(), func() {}) }()
	i, err := sup.Child(t.Context(), "sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Child.(command).Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for e := range events {
		if e.Kind == ChildStarted && e.Restarts == 1 {
			break
		}
	}
	sup.Stop(ErrShutdown)
	if err := <-done; !errors.Is(err, ErrShutdown) || len(sup.Orphans()) != 0 {
		t.Errorf("got %v, orphans %v", err, sup.Orphans())
	}
}

func TestManyCallersWhileChildrenCrash(t *testing.T) {
	virtual(func(w *world) {
		w.begin(Flags{Strategy: OneForAll, Intensity: 1 << 20}, w.specs("a", "b", "c")...)
		done := make(chan struct{})
		for i := range 4 {
			go func() {
				defer func() { done <- struct{}{} }()
				id := fmt.Sprint("extra", i)
				for range 50 {
					_, _ = w.sup.StartChild(w.Context(), w.spec(id, temporary))
					_, _ = w.sup.Tree(w.Context())
					_ = w.sup.TerminateChild(w.Context(), id)
				}
			}()
		}
		for i := range 50 {
			w.end([]string{"a", "b", "c"}[i%3], errCrash)
		}
		for range 4 {
			<-done
		}
		synctest.Wait()
		w.wantWhich("c:running b:running a:running")
		w.stop()
	})(t)
}
