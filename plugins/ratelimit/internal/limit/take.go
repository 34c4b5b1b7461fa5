package limit

import "errors"

// Errors of a call.
var (
	ErrCost   = errors.New("the cost is negative; a refund gives back")
	ErrRefund = errors.New("a concurrency limit is given back by its lease")
	errRow    = errors.New("the row of the limit is damaged")
)

// Take asks for cost at the instant now, in nanoseconds since 1970. row is the row of the key, nil if there is none;
// the next one is appended to dst, and is nothing any more at until. A cost of 0 only looks; a refused call leaves the
// row as it is. lease is the number of the lease that a concurrency limit gives.
func (p Policy) Take(dst, row []byte, now, cost int64, lease uint64) (next []byte, until int64, d Decision, err error) {
	if cost < 0 {
		return dst, 0, d, ErrCost
	}
	switch p.Algorithm {
	case SlidingWindow:
		return p.takeWindow(dst, row, now, cost)
	case Quota:
		return p.takeQuota(dst, row, now, cost)
	case Concurrency:
		return p.takeLease(dst, row, now, cost, lease)
	}
	return p.takeGCRA(dst, row, now, cost)
}

// Refund gives back what a call has cost, at most all that was used.
func (p Policy) Refund(dst, row []byte, now, cost int64) (next []byte, until int64, err error) {
	switch {
	case cost < 0:
		return dst, 0, ErrCost
	case p.Algorithm == Concurrency:
		return dst, 0, ErrRefund
	}
	switch p.Algorithm {
	case SlidingWindow:
		return p.refundWindow(dst, row, now, cost)
	case Quota:
		return p.refundQuota(dst, row, now, cost)
	}
	return p.refundGCRA(dst, row, now, cost)
}
