package main

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurnsBadAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visits{spoiled: new(atomic.Bool)}
		go func() { _ = v.spoil(t.Context()) }()
		time.Sleep(healthyFor - time.Millisecond)
		if err := v.health(t.Context()); err != nil {
			t.Errorf("unhealthy too early: %v", err)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if v.health(t.Context()) == nil {
			t.Error("healthy for too long")
		}
	})
}
