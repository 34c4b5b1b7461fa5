package sdk

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestAProcessLeavesWhenNoDaemonHasSpokenForATerm(t *testing.T) {
	const tick = leaseTerm / leaseTicks
	for _, c := range []struct {
		name  string
		speak []time.Duration // when a daemon speaks
		left  time.Duration   // when the process leaves; 0: not within an hour
	}{
		{name: "nobody ever", left: leaseTerm + tick},
		{name: "once, at once", speak: []time.Duration{time.Second}, left: leaseTerm + tick},
		{name: "a daemon that comes back just then", speak: []time.Duration{leaseTerm + tick - 1}, left: 2*leaseTerm + tick},
		{name: "one that comes back a moment later", speak: []time.Duration{leaseTerm + tick + 1}, left: leaseTerm + tick},
		{name: "every nine minutes", speak: []time.Duration{
			9 * time.Minute, 18 * time.Minute, 27 * time.Minute, 36 * time.Minute, 45 * time.Minute, 54 * time.Minute,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { leaseStory(t, c.speak, c.left) })
		})
	}
}

// leaseStory speaks at the times, and wants the process to leave at left, and to refuse every word after that.
func leaseStory(t *testing.T, speak []time.Duration, left time.Duration) {
	ctx, stop := context.WithTimeout(t.Context(), time.Hour)
	defer stop()
	var l lease
	began, gone := time.Now(), time.Duration(0)
	for _, at := range speak {
		time.AfterFunc(at, func() {
			err := l.touch()
			if late := left > 0 && at > left; late != (status.Code(err) == codes.Unavailable) {
				t.Errorf("a word after %s: %v", at, err)
			}
		})
	}
	l.watch(ctx, func() { gone = time.Since(began) })
	<-ctx.Done()
	synctest.Wait()
	if gone != left {
		t.Errorf("left after %s, want %s", gone, left)
	}
}

// A process that stood still has missed the daemon's words, and not its lease.
func TestAProcessThatStoodStillKeepsItsLease(t *testing.T) {
	var l lease
	for range leaseTicks {
		if l.tick() {
			t.Fatal("it has run out too early")
		}
	}
	if err := l.touch(); err != nil {
		t.Fatal(err)
	}
	if l.tick() {
		t.Error("a word did not renew it")
	}
}
