package otp

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Calls end when their time is up, to the nanosecond, whatever the calls before had for theirs.
func TestDeadlinesOneAfterAnother(t *testing.T) {
	patient(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		for _, c := range []struct{ time, takes time.Duration }{
			{5 * time.Second, 0},
			{time.Second, time.Minute},
			{time.Hour, 0},
			{3 * time.Second, time.Minute},
			{10 * time.Second, 9 * time.Second},
			{20 * time.Second, time.Minute},
			{time.Second, 0},
			{time.Minute, time.Hour},
		} {
			began := time.Now()
			_, err := Call(n.With(timeout(c.time)), pid, slow{For: c.takes})
			want, wantErr := c.takes, error(nil)
			if c.takes > c.time {
				want, wantErr = c.time, context.DeadlineExceeded
			}
			is(t, err, wantErr)
			if took := time.Since(began); took != want {
				t.Errorf("a call with %s to what takes %s took %s", c.time, c.takes, took)
			}
			time.Sleep(time.Hour) // the handler is through
		}
	})
}

// A call that is given up before its turn is not executed.
func TestCancelledCallIsNotExecuted(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d))
		is(t, Suspend(n, pid), nil)
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() {
			_, err := Call(n.With(ctx), pid, inc{By: 1})
			done <- err
		}()
		synctest.Wait()
		cancel(errCrash)
		is(t, <-done, errCrash)
		is(t, Resume(n, pid), nil)
		has(t, n, pid, 0)
	})
}

// A process that is killed while it waits for an answer stops waiting: in a handler, also beside other calls of it, and in
// Init.
func TestKilledWhileItCalls(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d)
		busy := begin(t, n, b)
		is(t, Cast(n, busy, do{func(*Ctx, *counter) error { time.Sleep(time.Minute); return nil }}), nil)
		ended := make(chan error, 2)
		ask := func(c *Ctx) {
			_, err := Call(c, busy, get{})
			ended <- err
		}
		pid := begin(t, n, b)
		in(t, n, pid, func(c *Ctx, _ *counter) error {
			go ask(c)
			ask(c)
			return nil
		})
		SendExit(n, pid, ErrKilled)
		is(t, <-ended, ErrKilled)
		is(t, <-ended, ErrKilled)
		self := make(chan PID, 1)
		initial := &Behaviour[counter]{Init: func(c *Ctx, _ any) (counter, error) {
			self <- c.Self()
			ask(c)
			return counter{}, nil
		}}
		go func() { _, _ = Start(n, initial, nil) }()
		began := time.Now()
		SendExit(n, <-self, ErrKilled)
		<-ended
		if took := time.Since(began); took != 0 {
			t.Errorf("Init stopped waiting after %s", took)
		}
	})
}

// The mail of a process without a bound is not counted below nothing.
func TestUnboundedMailboxIsNotNegative(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		pid := begin(t, n, newCounter(d, func(b *Behaviour[counter]) { b.Mailbox = Unbounded }))
		is(t, Cast(n, pid, add{1}), nil)
		has(t, n, pid, 1)
		if info, err := Inspect(n, pid); err != nil || info.Mailbox != 0 {
			t.Errorf("%d messages wait (%v)", info.Mailbox, err)
		}
	})
}

// A call that is refused in the instant in which its time is up is not used again for the next one: the alarm, which is not
// through, would tell that one that its time is up.
func TestRefusedCallWhoseTimeIsUp(t *testing.T) {
	n := New(Options{})
	defer n.Close()
	p := n.newPending()
	r := p.open(get{}, n.now()+int64(time.Hour))
	r.end(context.DeadlineExceeded)
	r.discard()
	if n.pending.Get() == p {
		t.Error("it is used again")
	}
}
