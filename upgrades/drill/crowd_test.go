package drill

import (
	"testing"
	"time"
)

func TestDelays(t *testing.T) {
	d := new(delays)
	if got := d.quantile(0.99); got != 0 {
		t.Errorf("of none: %v", got)
	}
	for n := range 1000 {
		d.add(time.Duration(n) * time.Millisecond)
	}
	d.add(-time.Second)
	d.add(time.Hour)
	for _, tt := range []struct {
		part float64
		want time.Duration
	}{{0, delayStep}, {0.5, 499*time.Millisecond + delayStep}, {0.99, 990*time.Millisecond + delayStep}, {1, 10 * time.Second}} {
		if got := d.quantile(tt.part); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.part, got, tt.want)
		}
	}
}
