package otp

// The names are those of the cases of OTP's gen_server_SUITE and sys_SUITE (stdlib 4.2), which each test mirrors.

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestStart(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d)
		pid, err := Start(n, b, int64(5), Named("five"))
		if err != nil {
			t.Fatal(err)
		}
		has(t, n, pid, 5)
		has(t, n, Name("five"), 5)
		_, err = Start(n, b, nil, Named("five"))
		is(t, err, ErrTaken)
		if got := WhereIs(n, "five"); got != pid {
			t.Errorf("five is %s", got)
		}
		if s := n.Stats(); s.Processes != 1 {
			t.Errorf("stats are %+v", s)
		}
		is(t, Halt(n, pid, nil), nil)
		if got := WhereIs(n, "five"); got != 0 {
			t.Errorf("five is still %s", got)
		}
		begin(t, n, b, Named("five"))
	})
}

// start_ignore, start with a failing or panicking init.
func TestStartThatDoesNotCome(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d)
		for _, want := range []error{ErrIgnore, errCrash} {
			_, err := Start(n, b, want, Named("x"))
			is(t, err, want)
		}
		_, err := Start(n, &Behaviour[counter]{Init: func(*Ctx, any) (counter, error) { panic("ouch") }}, nil)
		var p *PanicError
		if !errors.As(err, &p) || p.Value != "ouch" {
			t.Errorf("error is %v", err)
		}
		if s := n.Stats(); s.Processes != 0 || WhereIs(n, "x") != 0 {
			t.Errorf("stats are %+v", s)
		}
		d.is(t)
	})
}

// stop1 to stop10: reasons, names, a process that is not there, and one that does not get to it.
func TestStop(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d)
		begin(t, n, b, Named("x"))
		is(t, Halt(n, Name("x"), errCrash), nil)
		d.is(t, "terminate 0: crash")
		is(t, Halt(n, Name("x"), nil), ErrNoProc)
		pid := begin(t, n, b)
		go func() { _, _ = Call(n, pid, slow{For: time.Hour}) }()
		synctest.Wait()
		is(t, Halt(n.With(timeout(time.Second)), pid, nil), context.DeadlineExceeded)
	})
}

// crash: which reasons are reported as crashes.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var crashes []Crash
		n := New(Options{OnCrash: func(c Crash) { crashes = append(crashes, c) }})
		defer n.Close()
		b := newCounter(new(diary))
		for _, m := range []fail{{Reason: ErrNormal}, {Reason: ErrShutdown}, {Reason: errCrash}, {Panic: "ouch"}} {
			pid := begin(t, n, b)
			_, err := Call(n, pid, m)
			if m.Panic == nil {
				is(t, err, nil) // {stop, Reason, Reply, State} replies first
				gone(t, n, pid)
				continue
			}
			var exit *Exit
			var p *PanicError
			if !errors.As(err, &exit) || exit.PID != pid || !errors.As(err, &p) || len(exit.Stack) == 0 {
				t.Errorf("error is %#v", err)
			}
		}
		synctest.Wait()
		if len(crashes) != 2 || crashes[0].Reason != errCrash || crashes[1].Message == nil || n.Stats().Crashes != 2 {
			t.Errorf("crashes: %+v", crashes)
		}
	})
}

// call: at once, delayed, timed out, failed, with no process.
func TestCall(t *testing.T) {
	patient(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		if v, err := Call(n, pid, inc{By: 3}); v != 3 || err != nil {
			t.Errorf("got %d, %v", v, err)
		}
		began := time.Now()
		_, err := Call(n, pid, slow{For: 4 * time.Second})
		is(t, err, nil)
		_, err = Call(n, pid, slow{For: 6 * time.Second}) // the default is 5 s
		is(t, err, context.DeadlineExceeded)
		if took := time.Since(began); took != 9*time.Second {
			t.Errorf("it took %s", took)
		}
		time.Sleep(time.Second)
		_, err = Call(n, pid, fail{Error: errCrash})
		is(t, err, errCrash)
		_, err = Call(n, pid, unknown{})
		is(t, err, ErrNoHandler)
		has(t, n, pid, 3)
		_, err = Call(n, PID(1<<40), get{})
		is(t, err, ErrNoProc)
		_, err = Call(n, Name("nobody"), get{})
		is(t, err, ErrNoProc)
	})
}

// A call that timed out before its turn is not executed. In OTP it is.
func TestExpiredCallIsNotExecuted(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		go func() { _, _ = Call(n, pid, slow{For: 3 * time.Second}) }()
		synctest.Wait()
		_, err := Call(n.With(timeout(time.Second)), pid, inc{By: 1})
		is(t, err, context.DeadlineExceeded)
		time.Sleep(5 * time.Second)
		has(t, n, pid, 0)
	})
}

// An answer that comes after its caller gave up is dropped, and does not become that of the caller's next call.
func TestLateAnswerIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		_, err := Call(n.With(timeout(time.Second)), pid, later{})
		is(t, err, context.DeadlineExceeded)
		is(t, Cast(n, pid, settle{99}), nil)
		for range 10 {
			has(t, n, pid, 0)
		}
	})
}

func TestCallingSelf(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		in(t, n, pid, func(c *Ctx, _ *counter) error {
			_, err := Call(c, c.Self(), get{})
			is(t, err, ErrCallSelf)
			is(t, Suspend(c, c.Self()), ErrCallSelf)
			return nil
		})
		has(t, n, pid, 0)
	})
}

// Processes that call each other round a circle are told so, instead of waiting for ever.
func TestCallsInACircle(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d)
		p, q := begin(t, n, b), begin(t, n, b)
		done := make(chan error, 2)
		for _, way := range [][2]PID{{p, q}, {q, p}} {
			is(t, Cast(n, way[0], do{func(c *Ctx, _ *counter) error {
				time.Sleep(time.Second) // until both are in their handlers
				_, err := Call(c, way[1], get{})
				done <- err
				return nil
			}}), nil)
		}
		first, second := <-done, <-done
		if !errors.Is(first, ErrDeadlock) || second != nil {
			t.Errorf("errors are %v, %v", first, second)
		}
	})
}

func TestCast(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		for range 1000 {
			is(t, Cast(n, pid, add{1}), nil)
		}
		has(t, n, pid, 1000) // in order: the call comes after them
		is(t, Cast(n, Name("nobody"), add{1}), nil)
		is(t, Cast(n, pid, do{func(*Ctx, *counter) error { return errCrash }}), nil)
		gone(t, n, pid)
		d.is(t, "terminate 1000: crash")
		is(t, Cast(n, pid, add{1}), nil)
	})
}

func TestInfo(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		is(t, Cast(n, pid, "hello"), nil)
		d.is(t, "info hello")
		quiet := begin(t, n, &Behaviour[counter]{Name: "no handlers"})
		is(t, Cast(n, quiet, "hello"), nil) // undef_info: ignored
		_, err := Call(n, quiet, get{})     // undef_handle_call
		is(t, err, ErrNoHandler)
	})
}

func TestDeferredReply(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		got := make(chan int64, 2)
		for range 2 {
			go func() {
				v, err := Call(n, pid, later{})
				is(t, err, nil)
				got <- v
			}()
		}
		synctest.Wait()
		has(t, n, pid, 0) // it goes on meanwhile
		is(t, Cast(n, pid, settle{42}), nil)
		if a, b := <-got, <-got; a != 42 || b != 42 {
			t.Errorf("answers are %d, %d", a, b)
		}
	})
}

// The caller of a deferred call learns of the end of the process that owes the answer.
func TestDeferredReplyOfAProcessThatEnds(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		got := make(chan error, 1)
		go func() {
			_, err := Call(n, pid, later{})
			got <- err
		}()
		synctest.Wait()
		is(t, Halt(n, pid, errCrash), nil)
		is(t, <-got, errCrash)
	})
}

// Those who wait in the mailbox of a process that ends are told.
func TestCallersInTheMailboxLearnOfTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		errs := make(chan error, 20)
		go func() { _, _ = Call(n, pid, slow{For: time.Second}) }()
		synctest.Wait()
		for i := range 20 {
			go func() {
				if i == 10 {
					_, err := Call(n, pid, fail{Panic: "ouch"})
					errs <- err
					return
				}
				_, err := Call(n, pid, get{})
				errs <- err
			}()
		}
		failed := 0
		for range 20 {
			if err := <-errs; err != nil {
				failed++
			}
		}
		if failed == 0 {
			t.Error("nobody was told")
		}
	})
}

// A process that is killed while it handles something is gone for others at once.
func TestKilledWhileItHandles(t *testing.T) {
	patient(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d), Named("x"))
		errs := make(chan error, 2)
		go func() { _, err := Call(n, pid, slow{For: 4 * time.Second}); errs <- err }()
		synctest.Wait()
		go func() { _, err := Call(n, pid, get{}); errs <- err }()
		synctest.Wait()
		began := time.Now()
		SendExit(n, pid, ErrKilled)
		for range 2 {
			var exit *Exit
			if err := <-errs; !errors.As(err, &exit) {
				t.Errorf("error is %v", err)
			}
		}
		if time.Since(began) != 0 || WhereIs(n, "x") != 0 {
			t.Errorf("it took %s", time.Since(began))
		}
		if s := n.Stats(); s.Orphans != 1 || s.Processes != 0 {
			t.Errorf("stats are %+v", s)
		}
		time.Sleep(5 * time.Second)
		if s := n.Stats(); s.Orphans != 0 {
			t.Errorf("stats are %+v", s)
		}
		d.is(t) // Terminate does not run
	})
}

func TestContinue(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		go func() { _, _ = Call(n, pid, slow{For: time.Second}) }()
		synctest.Wait()
		is(t, Cast(n, pid, do{func(*Ctx, *counter) error { return Continue("next") }}), nil)
		is(t, Cast(n, pid, "after"), nil)
		time.Sleep(2 * time.Second)
		d.is(t, "info next", "info after")
	})
}

func TestIdleTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		rest := do{func(*Ctx, *counter) error { return IdleTimeout(time.Second) }}
		is(t, Cast(n, pid, rest), nil)
		time.Sleep(500 * time.Millisecond)
		has(t, n, pid, 0) // any message ends it
		time.Sleep(time.Hour)
		d.is(t)
		is(t, Cast(n, pid, rest), nil)
		time.Sleep(time.Second)
		d.is(t, "info {}")
	})
}

func TestSendAfter(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		var never Timer
		in(t, n, pid, func(c *Ctx, _ *counter) error {
			c.SendAfter(time.Hour, "an hour")
			never = c.SendAfter(time.Minute, "a minute")
			return nil
		})
		in(t, n, pid, func(c *Ctx, _ *counter) error {
			if !c.Cancel(never) || c.Cancel(never) {
				t.Error("cancel")
			}
			return nil
		})
		time.Sleep(time.Hour)
		d.is(t, "info an hour")
		in(t, n, pid, func(c *Ctx, _ *counter) error {
			c.SendAfter(time.Hour, "vanishes")
			return Stop(nil)
		})
		time.Sleep(2 * time.Hour)
		d.is(t, "terminate 0: normal")
	})
}

func TestMailboxIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d, func(b *Behaviour[counter]) { b.Mailbox = 3 }))
		is(t, Suspend(n, pid), nil) // signals are not refused, now or below
		for range 3 {
			is(t, Cast(n, pid, add{1}), nil)
		}
		is(t, Cast(n, pid, add{1}), ErrOverloaded)
		_, err := Call(n, pid, get{})
		is(t, err, ErrOverloaded)
		info, err := Inspect(n, pid)
		if err != nil || info.Mailbox != 3 || !info.Suspended {
			t.Errorf("%+v %v", info, err)
		}
		is(t, Resume(n, pid), nil)
		synctest.Wait() // until there is room
		has(t, n, pid, 3)
	})
}

// call_with_huge_message_queue: a call costs the same however much waits elsewhere.
func TestCallWithHugeMessageQueue(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d, func(b *Behaviour[counter]) { b.Mailbox = Unbounded })
		busy, other := begin(t, n, b), begin(t, n, b)
		is(t, Suspend(n, busy), nil)
		for range 50_000 {
			is(t, Cast(n, busy, add{1}), nil)
		}
		has(t, n, other, 0)
		is(t, Resume(n, busy), nil)
		has(t, n, busy, 50_000)
	})
}

// get_state and replace_state, of a process that runs and of one that is suspended; a failing function changes nothing.
func TestGetAndReplaceState(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d), Named("x"))
		for range 2 {
			is(t, ReplaceState(n, Name("x"), func(s counter) (counter, error) { s.N += 5; return s, nil }), nil)
			is(t, Suspend(n, pid), nil)
		}
		s, err := GetState[counter](n, pid)
		if err != nil || s.N != 10 {
			t.Errorf("state is %+v, %v", s, err)
		}
		is(t, ReplaceState(n, pid, func(counter) (counter, error) { return counter{}, errCrash }), errCrash)
		err = ReplaceState(n, pid, func(counter) (counter, error) { panic("ouch") })
		var p *PanicError
		if !errors.As(err, &p) {
			t.Errorf("error is %v", err)
		}
		if _, err := GetState[int](n, pid); err == nil {
			t.Error("the state of a counter is an int")
		}
		is(t, Resume(n, pid), nil)
		has(t, n, pid, 10)
	})
}

// suspend: twice is no error, calls time out, resume twice. What was sent meanwhile is handled in order.
func TestSuspend(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		is(t, Suspend(n, pid), nil)
		is(t, Suspend(n, pid), nil)
		_, err := Call(n.With(timeout(time.Second)), pid, inc{By: 1})
		is(t, err, context.DeadlineExceeded)
		is(t, Cast(n, pid, "one"), nil)
		is(t, Cast(n, pid, "two"), nil)
		d.is(t)
		is(t, Resume(n, pid), nil)
		is(t, Resume(n, pid), nil)
		d.is(t, "info one", "info two")
		has(t, n, pid, 0)
	})
}

func TestTrace(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		is(t, Trace(n, pid, func(e Event) { d.note("%v", e.Message) }), nil)
		is(t, Cast(n, pid, add{4}), nil)
		synctest.Wait() // what follows overtakes mail
		is(t, Trace(n, pid, nil), nil)
		is(t, Cast(n, pid, add{5}), nil)
		d.is(t, "{4}")
	})
}

type wide struct {
	N    int64
	Note string
}

// change_code: only while suspended; a failure leaves the old state and the suspension; mail that waits is the new
// behaviour's.
func TestChangeCode(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		next := &Behaviour[wide]{Name: "wide", Change: func(_ *Ctx, old, extra any) (wide, error) {
			if extra == nil {
				return wide{}, errCrash
			}
			return wide{N: old.(counter).N, Note: extra.(string)}, nil
		}}
		OnCall(next, func(_ *Ctx, s *wide, m inc) (int64, error) { s.N += 1000 * m.By; return s.N, nil })
		pid := begin(t, n, newCounter(d))
		_, _ = Call(n, pid, inc{By: 1})
		is(t, ChangeCode(n, pid, next, "x"), ErrSuspended)
		is(t, Suspend(n, pid), nil)
		got := make(chan int64, 1)
		go func() {
			v, _ := Call(n, pid, inc{By: 2})
			got <- v
		}()
		synctest.Wait()
		is(t, ChangeCode(n, pid, next, nil), errCrash)
		s, err := GetState[counter](n, pid)
		if err != nil || s.N != 1 {
			t.Errorf("state is %+v, %v", s, err)
		}
		is(t, ChangeCode(n, pid, next, "x"), nil)
		is(t, Resume(n, pid), nil)
		if v := <-got; v != 2001 {
			t.Errorf("answer is %d", v)
		}
		w, err := GetState[wide](n, pid)
		if err != nil || w != (wide{2001, "x"}) {
			t.Errorf("state is %+v, %v", w, err)
		}
	})
}

func TestClosedNode(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		n.Close()
		if _, err := Call(n, pid, get{}); err == nil {
			t.Error("a call to a closed node")
		}
		if _, err := Start(n, newCounter(d), nil); err == nil {
			t.Error("a start on a closed node")
		}
	})
}

// undef_init, undef_terminate, undef_handle_continue and undef_code_change: what a behaviour leaves out does nothing, and
// cannot be asked for.
func TestWhatABehaviourMayLeaveOut(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, _ *diary) {
		b := &Behaviour[counter]{Name: "bare"}
		OnCast(b, func(_ *Ctx, s *counter, m add) error { s.N += m.By; return Continue(settle{}) })
		OnCall(b, func(_ *Ctx, s *counter, _ get) (int64, error) { return s.N, nil })
		pid := begin(t, n, b)
		has(t, n, pid, 0)
		is(t, Cast(n, pid, add{3}), nil)
		has(t, n, pid, 3)
		is(t, Suspend(n, pid), nil)
		if err := ChangeCode(n, pid, b, nil); err == nil || !strings.Contains(err.Error(), "has no Change") {
			t.Errorf("%v", err)
		}
		is(t, Resume(n, pid), nil)
		has(t, n, pid, 3)
		is(t, Halt(n, pid, nil), nil)
		gone(t, n, pid)
	})
}
