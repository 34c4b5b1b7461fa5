package otp

import "testing"

func TestWaitingCountsWhatNoProcessHasHandled(t *testing.T) {
	bubble(t, func(t *testing.T, n *Node, d *diary) {
		b := newCounter(d)
		slow, quick := begin(t, n, b), begin(t, n, b)
		is(t, Suspend(n, slow), nil)
		for range 3 {
			is(t, Cast(n, slow, add{1}), nil)
			is(t, Cast(n, quick, add{1}), nil)
		}
		has(t, n, quick, 3)
		if got := n.Waiting(); got != 3 {
			t.Errorf("%d messages wait", got)
		}
		is(t, Resume(n, slow), nil)
		has(t, n, slow, 3)
		if got := n.Waiting(); got != 0 {
			t.Errorf("%d messages wait still", got)
		}
	})
}

// The places before it may be those of processes that wait in the log.
func TestWaitingCountsAfterASwitch(t *testing.T) {
	v := newVoyage(t)
	var last PID
	for range chunkSize + 1 {
		last = v.start()
	}
	is(t, Suspend(v.v1.Node(), last), nil)
	for range 3 {
		is(t, Cast(v.v1.Node(), last, note{"x"}), nil)
	}
	v.v1.switchTo(v.v2, nil)
	<-v.v2.n.loading.done
	if got := v.v2.Node().Waiting(); got != 3 {
		t.Errorf("%d messages wait", got)
	}
}
