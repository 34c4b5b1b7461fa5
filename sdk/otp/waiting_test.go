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
