package clock

import (
	"fmt"
	"time"
)

// Duration is a time.Duration that files and JSON write as 10s, 1m30s or 24h.
type Duration time.Duration

// MarshalText writes it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads it.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%.64q is no duration; write 10s, 1m30s or 24h", text)
	}
	*d = Duration(v)
	return nil
}

// Seconds are whole ones, rounded up: who waits for so long does not come too early.
func Seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
