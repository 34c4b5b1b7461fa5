package appup

import (
	"fmt"
	"time"
)

// Duration is a time.Duration that a manifest writes as "200ms". One that is written is longer than 0.
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText gives the manifest's spelling.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText accepts what time.ParseDuration does, if it is longer than 0.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf(`%q is no duration; write it as "200ms" or "10s"`, text)
	}
	if v <= 0 {
		return fmt.Errorf("a duration of %s is too short; leave the key away for the default", v)
	}
	*d = Duration(v)
	return nil
}

// or is d, or the default if d is 0.
func (d Duration) or(otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return time.Duration(d)
}
