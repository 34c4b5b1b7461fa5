package ws

import (
	"io"
	"testing"
)

// Clients are told why a service that stops hangs up, wherever they came in, and those that have been told another reason
// nothing more.
func TestFarewell(t *testing.T) {
	for _, tt := range []struct {
		name     string
		farewell Farewell
		code     int
	}{
		{"of the package", Farewell{}, CloseGoingAway},
		{"of the service", Farewell{Code: 3005, Reason: "over"}, 3005},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newWall().server
			s.Farewell = tt.farewell
			w := newTwo(t, s, s)
			moved, closing := dial(t, w.Addr), dial(t, w.Addr)
			moved.send(text("in"))
			moved.expect(1, "in")
			w.Swap()
			closing.send(text("close"))
			closing.expect(8, "\x0b\xb9shutdown")
			here := dial(t, w.Addr)
			ended := make(chan struct{})
			go func() { w.Now.Hangup(); close(ended) }()
			for _, c := range []*client{moved, here} {
				c.expectClose(tt.code)
				c.nc.Close()
			}
			if b, err := io.ReadAll(closing.r); len(b) > 0 || err != nil {
				t.Errorf("after its close it was told %q, %v", b, err)
			}
			<-ended
		})
	}
}
