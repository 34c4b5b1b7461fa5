package supervise

import "time"

// Event is what a report is about.
type Event uint8

// What a supervisor reports. OTP calls them progress and supervisor reports.
const (
	Started     Event = iota // a child is up
	StartFailed              // a child did not come up
	Exited                   // a child ended and should not have
	Stopped                  // a child ended because the supervisor wanted it to
	StopFailed               // so it was, but it was killed or failed on the way
	GaveUp                   // the supervisor ends by itself: too many restarts, or its significant children have ended
	Ended                    // a child ended by itself, and is not started again
)

var events = [...]string{"started", "start_failed", "exited", "stopped", "stop_failed", "gave_up", "ended"}

func (e Event) String() string { return name(events[:], e) }

// MarshalText gives the word that String gives.
func (e Event) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// Report tells what happened to a child.
type Report struct {
	Event  Event
	ID     string
	Reason error         // of an exit or a failed start; may be nil
	Took   time.Duration // of a start
	Uptime time.Duration // of what ended
}
