package keel

import (
	"errors"
	"testing"
	"time"
)

// A keel that somebody has stopped reads nothing, and after some minutes no beat fits between the two any more. It is not
// gone for that: a daemon that took it for gone would stop every service.
func TestAKeelThatReadsNothingIsNotGone(t *testing.T) {
	ours, theirs, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Connect(theirs)
	if err != nil {
		t.Fatal(err)
	}
	c.patience = time.Millisecond
	if _, err := c.Daemons(t.Context()); !errors.Is(err, errStopped) {
		t.Errorf("a question: %v", err)
	}
	if err := c.conn.SetWriteBuffer(1); err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil; {
		err = c.send(request{Op: opBeat})
	}
	if errors.Is(err, ErrLost) {
		t.Errorf("a request: %v", err)
	}
	beats, ended := make(chan struct{}, 1000), make(chan error, 1)
	go func() { ended <- c.Beat(t.Context(), func() { beats <- struct{}{} }) }()
	for range 2 {
		select {
		case <-beats:
		case err := <-ended:
			t.Fatalf("the beats have ended: %v", err)
		case <-time.After(10 * time.Second):
			t.Fatal("no further beat")
		}
	}
	ours.Close()
	if err := <-ended; !errors.Is(err, ErrLost) {
		t.Errorf("a keel that is gone: %v", err)
	}
}
