package audit

import (
	"fmt"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// Of events of one kind and service a burst is let through, and then one each pause.
const (
	burst     = 20
	burstRest = time.Minute
)

// sieve keeps a service that crashes all the time from filling the log.
type sieve map[[2]string]*bucket

type bucket struct {
	left int
	at   time.Time // when left was right
	held uint64
}

// pass tells whether an event is let through. One that is says how many before it were not.
func (s sieve) pass(e *control.Event) bool {
	key := [2]string{e.Kind, e.Service}
	b := s[key]
	if b == nil {
		b = &bucket{left: burst, at: e.Time}
		s[key] = b
	}
	if e.Time.Before(b.at) {
		b.at = e.Time // the clock was set back
	}
	if n := int(e.Time.Sub(b.at) / burstRest); n > 0 {
		b.left, b.at = min(b.left+n, burst), b.at.Add(time.Duration(n)*burstRest)
	}
	if b.left == 0 {
		b.held++
		return false
	}
	b.left--
	if b.held > 0 {
		e.Text += fmt.Sprintf(" (%d more like this since the line before)", b.held)
		b.held = 0
	}
	return true
}
