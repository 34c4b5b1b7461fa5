package serve

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// hung is a listener whose accept hangs in the kernel.
type hung struct {
	*net.TCPListener
	gone chan struct{}
}

func (h hung) Accept() (net.Conn, error) {
	<-h.gone
	return nil, net.ErrClosed
}

// Several listeners that hang are waited for once, not each in turn and for ever.
func TestParkIsCalledOffThoughSeveralListenersHang(t *testing.T) {
	gone := make(chan struct{})
	defer close(gone)
	g := NewGroup(patient)
	for _, name := range []string{"a", "b", "c"} {
		ln := listenTCP(t)
		g.Stream(name, ln, func(*Conn) {})
		g.doors[name].ln = hung{ln.(*net.TCPListener), gone}
	}
	must(t, g.Arm())
	parked := make(chan error, 1)
	go func() { parked <- g.Park(context.Background(), 50*time.Millisecond) }()
	select {
	case err := <-parked:
		if !errors.Is(err, ErrBusy) {
			t.Errorf("%v, want %v", err, ErrBusy)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the switch hangs with the listeners, and so does whoever is to serve on")
	}
}
