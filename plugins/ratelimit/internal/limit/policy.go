package limit

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Policy is one limit. Burst and Lease may be zero: see there.
type Policy struct {
	Algorithm Algorithm
	Limit     int64
	Per       time.Duration // not for concurrency
	Burst     int64         // gcra: how much at once; Limit if 0
	Lease     time.Duration // concurrency: a lease that nobody gives back ends by itself; DefaultLease if 0
}

// DefaultLease is how long a lease of a concurrency limit lasts.
const DefaultLease = time.Minute

// Bounds of policies: they keep all arithmetic within 63 bits.
const (
	MaxLimit  = 1_000_000_000
	MaxLeases = 4096 // of one key at the same time
	MaxPer    = 366 * 24 * time.Hour
	maxDrain  = 10 * MaxPer // of a full bucket
)

// WithDefaults is the policy with nothing left to default.
func (p Policy) WithDefaults() Policy {
	if p.Algorithm == GCRA && p.Burst == 0 {
		p.Burst = p.Limit
	}
	if p.Algorithm == Concurrency && p.Lease == 0 {
		p.Lease = DefaultLease
	}
	return p
}

// Check says what is wrong with a policy, and with which field of it.
func (p Policy) Check() error {
	p = p.WithDefaults()
	switch {
	case p.Algorithm > Concurrency:
		return &FieldError{"algorithm", errAlgorithm.Error()}
	case p.Limit < 1 || p.Limit > MaxLimit:
		return fieldf("limit", "%d is not between 1 and %d", p.Limit, MaxLimit)
	case p.Algorithm == Concurrency:
		return p.checkLease()
	case p.Lease != 0:
		return fieldf("lease", "only a concurrency limit has leases")
	case p.Per < time.Millisecond || p.Per > MaxPer:
		return fieldf("per", "%v is not between 1ms and %v", p.Per, MaxPer)
	case p.Algorithm == GCRA:
		return p.checkBurst()
	case p.Burst != 0:
		return fieldf("burst", "only gcra has a burst")
	}
	return nil
}

func (p Policy) checkLease() error {
	switch {
	case p.Limit > MaxLeases:
		return fieldf("limit", "a key has at most %d leases at the same time", MaxLeases)
	case p.Per != 0:
		return fieldf("per", "a concurrency limit has none, it has a lease")
	case p.Burst != 0:
		return fieldf("burst", "only gcra has a burst")
	case p.Lease < time.Millisecond || p.Lease > MaxPer:
		return fieldf("lease", "%v is not between 1ms and %v", p.Lease, MaxPer)
	}
	return nil
}

func (p Policy) checkBurst() error {
	switch {
	case p.Burst < 1 || p.Burst > MaxLimit:
		return fieldf("burst", "%d is not between 1 and %d", p.Burst, MaxLimit)
	case p.interval() < 1:
		return fieldf("limit", "more than one in a nanosecond")
	case p.Burst > int64(maxDrain)/p.interval():
		return fieldf("burst", "it would take more than %v until it is there again", maxDrain)
	}
	return nil
}

// Capacity is the most that may be taken at once.
func (p Policy) Capacity() int64 {
	if p.Algorithm == GCRA {
		return p.Burst
	}
	return p.Limit
}

// interval is the time in which one unit comes back.
func (p Policy) interval() int64 { return int64(p.Per) / p.Limit }

// FieldError says which field of a policy is wrong.
type FieldError struct{ Field, Reason string }

func (e *FieldError) Error() string { return e.Field + ": " + e.Reason }

func fieldf(field, format string, args ...any) error {
	return &FieldError{field, fmt.Sprintf(format, args...)}
}

// Algorithm is how a policy counts; the zero value is GCRA.
type Algorithm uint8

// The algorithms.
const (
	GCRA Algorithm = iota
	SlidingWindow
	Quota
	Concurrency
)

// Algorithms are the names of all.
var Algorithms = []string{"gcra", "sliding_window", "quota", "concurrency"}

var errAlgorithm = errors.New("the algorithms are gcra, sliding_window, quota and concurrency")

func (a Algorithm) String() string { return Algorithms[a] }

// MarshalText is the name.
func (a Algorithm) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText takes a name and nothing else.
func (a *Algorithm) UnmarshalText(text []byte) error {
	for i, name := range Algorithms {
		if name == string(text) {
			*a = Algorithm(i)
			return nil
		}
	}
	return errAlgorithm
}

// Decision is the answer to one call.
type Decision struct {
	Allowed   bool
	Limit     int64         // what may be taken at once by a key that was never used
	Remaining int64         // what may be taken at once now
	Retry     time.Duration // until the same call would be allowed; 0 if it is, Never if that cannot be
	Reset     time.Duration // until all is there again
}

// Never is the Retry of a call that costs more than there can be.
const Never time.Duration = math.MaxInt64

// Window is the time in which a key that is used up has all of it again; 0 for a concurrency limit.
func (p Policy) Window() time.Duration {
	switch p.Algorithm {
	case GCRA:
		return time.Duration(p.interval() * p.Burst)
	case Concurrency:
		return 0
	}
	return p.Per
}
