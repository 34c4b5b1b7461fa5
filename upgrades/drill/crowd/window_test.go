package crowd

import (
	"testing"
	"time"
)

func TestLateness(t *testing.T) {
	w := new(Window)
	if got := w.Late(0.99); got != 0 {
		t.Errorf("of none: %v", got)
	}
	for n := range 1000 {
		w.add(time.Duration(n) * time.Millisecond)
	}
	w.add(-time.Second)
	w.add(time.Hour)
	for _, tt := range []struct {
		part float64
		want time.Duration
	}{{0, step}, {0.5, 499*time.Millisecond + step}, {0.99, 990*time.Millisecond + step}, {1, 10 * time.Second}} {
		if got := w.Late(tt.part); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.part, got, tt.want)
		}
	}
	if got := w.Worst(); got != time.Hour {
		t.Errorf("the worst: %v", got)
	}
}
