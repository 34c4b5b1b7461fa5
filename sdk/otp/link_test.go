package otp

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
)

func TestLinkTakesTheOtherAlong(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d)
		p, q := begin(t, n, b), begin(t, n, b)
		in(t, n, p, func(c *Ctx, _ *counter) error { c.Link(q); c.Link(q); return nil })
		is(t, Halt(n, p, errCrash), nil)
		gone(t, n, q)
	})
}

func TestLinkedNormalExitHarmsNobody(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d)
		p, q := begin(t, n, b), begin(t, n, b)
		in(t, n, p, func(c *Ctx, _ *counter) error { c.Link(q); return nil })
		is(t, Halt(n, p, nil), nil)
		has(t, n, q, 0)
	})
}

func TestTrapExit(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b, trap := newCounter(d), newCounter(d, trapping)
		p, q := begin(t, n, b), begin(t, n, trap)
		in(t, n, q, func(c *Ctx, _ *counter) error { c.Link(p); return nil })
		SendExit(n, p, ErrKilled)
		d.is(t, "exited process <0.0>: killed") // the kill of a linked process is no kill
		has(t, n, q, 0)
		SendExit(n, q, errCrash)
		d.is(t, "exited crash")
		SendExit(n, q, nil)
		d.is(t, "exited normal")
		SendExit(n, q, ErrKilled)
		gone(t, n, q)
		d.is(t)
	})
}

func TestUnlink(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d)
		p, q := begin(t, n, b), begin(t, n, b)
		in(t, n, p, func(c *Ctx, _ *counter) error { c.Link(q); c.Unlink(q); return nil })
		is(t, Halt(n, p, errCrash), nil)
		has(t, n, q, 0)
	})
}

func TestLinkToADeadProcess(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		p, q := begin(t, n, newCounter(d, trapping)), begin(t, n, newCounter(d))
		is(t, Halt(n, q, nil), nil)
		d.is(t, "terminate 0: normal")
		in(t, n, p, func(c *Ctx, _ *counter) error { c.Link(q); return nil })
		d.is(t, "exited noproc")
	})
}

func TestStartLinked(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d)
		p := begin(t, n, b)
		var q PID
		in(t, n, p, func(c *Ctx, _ *counter) (err error) {
			q, err = Start(c, b, nil, Linked())
			return err
		})
		has(t, n, q, 0)
		SendExit(n, p, errCrash)
		gone(t, n, q)
	})
}

func TestExitNormalDoesNotKillAnother(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		p := begin(t, n, newCounter(d))
		SendExit(n, p, ErrNormal)
		has(t, n, p, 0)
		in(t, n, p, func(c *Ctx, _ *counter) error { SendExit(c, c.Self(), ErrNormal); return nil })
		gone(t, n, p)
	})
}

// Monitors stack, end with Demonitor, and tell of a process that was never there.
func TestMonitor(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d)
		p, q := begin(t, n, b), begin(t, n, b)
		in(t, n, p, func(c *Ctx, _ *counter) error {
			Monitor(c, q)
			Monitor(c, q)
			Demonitor(c, q, Monitor(c, q))
			Monitor(c, Name("nobody"))
			return nil
		})
		d.is(t, "down noproc")
		SendExit(n, q, errCrash)
		d.is(t, "down crash", "down crash")
		has(t, n, p, 0)
		in(t, n, p, func(c *Ctx, _ *counter) error { Monitor(c, q); return nil })
		d.is(t, "down noproc")
	})
}

// What a process sent before it ended arrives before the word of its end.
func TestDownComesAfterWhatWasSentBefore(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		p, q := begin(t, n, newCounter(d)), begin(t, n, newCounter(new(diary)))
		in(t, n, p, func(c *Ctx, _ *counter) error { Monitor(c, q); return nil })
		in(t, n, q, func(c *Ctx, _ *counter) error {
			for i := range 3 {
				_ = Cast(c, p, fmt.Sprint("last words ", i))
			}
			return Stop(nil)
		})
		d.is(t, "info last words 0", "info last words 1", "info last words 2", "down normal")
	})
}

func TestNames(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d)
		p, q := begin(t, n, b), begin(t, n, b)
		is(t, Register(n, "x", p), nil)
		is(t, Register(n, "y", p), nil)
		is(t, Register(n, "x", q), ErrTaken)
		Unregister(n, "x")
		is(t, Register(n, "x", q), nil)
		SendExit(n, p, errCrash)
		synctest.Wait()
		if WhereIs(n, "y") != 0 || WhereIs(n, "x") != q {
			t.Errorf("x is %s, y is %s", WhereIs(n, "x"), WhereIs(n, "y"))
		}
		is(t, Register(n, "y", p), ErrNoProc)
	})
}

func TestPublish(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d, func(b *Behaviour[counter]) { b.Mailbox = 4 })
		p, q := begin(t, n, b), begin(t, n, b)
		join := func(c *Ctx, _ *counter) error { c.Join("news"); return nil }
		in(t, n, p, join)
		in(t, n, q, join)
		in(t, n, q, join)
		if got := Members(n, "news"); len(got) != 3 {
			t.Errorf("members are %v", got)
		}
		if sent, shed := Publish(n, "news", add{1}); sent != 3 || shed != 0 {
			t.Errorf("delivered %d, shed %d", sent, shed)
		}
		has(t, n, p, 1)
		has(t, n, q, 2)
		in(t, n, q, func(c *Ctx, _ *counter) error { c.Leave("news"); c.Leave("other"); return nil })
		is(t, Suspend(n, p), nil)
		for range 4 {
			Publish(n, "news", add{1})
			synctest.Wait()
		}
		if sent, shed := Publish(n, "news", add{1}); sent != 1 || shed != 1 {
			t.Errorf("delivered %d, shed %d", sent, shed)
		}
		SendExit(n, p, ErrKilled)
		SendExit(n, q, ErrKilled)
		synctest.Wait()
		if sent, _ := Publish(n, "news", add{1}); sent != 0 || Members(n, "news") != nil {
			t.Errorf("delivered %d", sent)
		}
	})
}

// A process under a supervisor: it comes back after a crash, and ends in order with its supervisor.
func TestSupervised(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d, trapping)
		sup, err := supervise.New(supervise.Flags{}, supervise.ChildSpec{ID: "c", Start: Child(n, b, int64(3), Named("c"))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- sup.Run(ctx, func() {}) }()
		synctest.Wait()
		_, _ = Call(n, Name("c"), inc{By: 1})
		first := WhereIs(n, "c")
		_, err = Call(n, Name("c"), fail{Panic: "ouch"})
		if err == nil {
			t.Error("no panic")
		}
		synctest.Wait()
		has(t, n, Name("c"), 3) // from Init
		info, err := sup.Child(ctx, "c")
		if err != nil || PIDOf(info.Child) != WhereIs(n, "c") || PIDOf(info.Child) == first || info.Restarts != 1 {
			t.Errorf("%+v %v", info, err)
		}
		d.is(t, "terminate 4: panic: ouch")
		cancel()
		is(t, <-done, ErrShutdown)
		d.is(t, "terminate 3: shutdown")
	})
}

func TestCtxEndsWithTheProcess(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		p, q := begin(t, n, newCounter(d)), begin(t, n, newCounter(d))
		go func() { _, _ = Call(n, q, slow{For: time.Hour}) }()
		synctest.Wait()
		left := make(chan error, 1)
		is(t, Cast(n, p, do{func(c *Ctx, _ *counter) error {
			_, err := Call(c, q, get{})
			left <- err
			return nil
		}}), nil)
		synctest.Wait()
		began := time.Now()
		SendExit(n, p, ErrKilled)
		is(t, <-left, ErrKilled)
		if time.Since(began) != 0 {
			t.Errorf("it took %s", time.Since(began))
		}
	})
}
