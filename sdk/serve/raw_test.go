package serve

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A call that waited would hold a processor until its client did something.
func TestSocketsAreNeverWaitedFor(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	p := make([]byte, 1<<20)
	if n, err := receive(pair[0], p); err != unix.EAGAIN {
		t.Errorf("nothing is there: %d, %v", n, err)
	}
	sent := 0
	for err == nil {
		n, e := transmit(pair[0], p)
		sent, err = sent+max(n, 0), e
	}
	if err != unix.EAGAIN || sent == 0 {
		t.Errorf("nothing more goes in after %d bytes: %v", sent, err)
	}
	for got := 0; got < sent; {
		n, err := receive(pair[1], p)
		if got += n; err != nil || n == 0 {
			t.Fatalf("%d of %d bytes came: %v", got, sent, err)
		}
	}
	_ = unix.Close(pair[1])
	if n, err := receive(pair[0], p); n != 0 || err != nil {
		t.Errorf("the other end is closed: %d, %v", n, err)
	}
	if n, err := transmit(pair[0], p); err != unix.EPIPE {
		t.Errorf("the other end is closed: %d, %v", n, err)
	}
}
