package limit

import (
	"encoding/binary"
	"time"
)

// The row of a key is the instant at which its bucket has drained, eight bytes. A unit pushes it one interval ahead; it
// may be a full bucket ahead of now.

func (p Policy) drained(row []byte, now int64) (int64, error) {
	switch len(row) {
	case 0:
		return now, nil
	case 8:
		at := int64(binary.BigEndian.Uint64(row))
		return min(max(at, now), now+p.interval()*p.Burst), nil
	}
	return 0, errRow
}

func (p Policy) takeGCRA(dst, row []byte, now, cost int64) ([]byte, int64, Decision, error) {
	at, err := p.drained(row, now)
	if err != nil {
		return dst, 0, Decision{}, err
	}
	at, d := p.Arrive(at, now, cost)
	return binary.BigEndian.AppendUint64(dst, uint64(at)), at, d, nil
}

// Arrive is GCRA itself: at is when the bucket has drained, not before now and not after a full one has; next is when it
// has drained then.
func (p Policy) Arrive(at, now, cost int64) (next int64, d Decision) {
	each := p.interval()
	full := each * p.Burst
	d = Decision{Allowed: true, Limit: p.Burst}
	switch {
	case cost > p.Burst:
		d.Allowed, d.Retry = false, Never
	case at+cost*each > now+full:
		d.Allowed, d.Retry = false, time.Duration(at+cost*each-now-full)
	default:
		at += cost * each
	}
	d.Remaining = (now + full - at) / each
	d.Reset = time.Duration(at - now)
	return at, d
}

func (p Policy) refundGCRA(dst, row []byte, now, cost int64) ([]byte, int64, error) {
	at, err := p.drained(row, now)
	if err != nil {
		return dst, 0, err
	}
	at = max(now, at-min(cost, p.Burst)*p.interval())
	return binary.BigEndian.AppendUint64(dst, uint64(at)), at, nil
}
