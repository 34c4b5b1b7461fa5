package release

import (
	"fmt"
	"time"

	"github.com/theseusd/theseus/upgrades/appup"
)

// DefaultLiveness is how long a service that serves may give no answer to its daemon until it is killed. A new daemon waits as long
// for a silent process; no answer at all for that long is no slowness.
const DefaultLiveness = 30 * time.Second

// NoLiveness has a service never be killed for its silence.
const NoLiveness Liveness = -1

// Liveness is how long a service may give no answer, in whole seconds. It is written as a duration, or off.
type Liveness time.Duration

// Std is 0 if the service is never killed for it.
func (l Liveness) Std() time.Duration {
	if l == 0 {
		return DefaultLiveness
	}
	return max(time.Duration(l), 0)
}

func (l Liveness) String() string {
	if l == NoLiveness {
		return "off"
	}
	return l.Std().String()
}

// MarshalText gives the spelling of theseus.toml.
func (l Liveness) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText accepts whole seconds, and off.
func (l *Liveness) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*l = NoLiveness
		return nil
	}
	var d appup.Duration
	if err := d.UnmarshalText(text); err != nil {
		return fmt.Errorf(`liveness: %w, or "off"`, err)
	}
	if d.Std() < time.Second || d.Std()%time.Second != 0 {
		return fmt.Errorf(`a liveness of %s: it is counted in whole seconds, from 1s; or "off"`, d)
	}
	*l = Liveness(d)
	return nil
}
