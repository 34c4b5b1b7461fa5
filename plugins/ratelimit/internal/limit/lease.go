package limit

import (
	"encoding/binary"
	"slices"
	"time"
)

// The row of a concurrency limit is its leases, twenty-four bytes each: number, end and cost.
type lease struct {
	id    uint64
	until int64
	cost  int64
}

const leaseSize = 24

// leasesOf are the leases that have not ended. One whose end lies too far ahead, since the clock was set back, ends
// after a whole lease.
func (p Policy) leasesOf(row []byte, now int64) ([]lease, error) {
	if len(row)%leaseSize != 0 {
		return nil, errRow
	}
	var list []lease
	for ; len(row) > 0; row = row[leaseSize:] {
		l := lease{
			binary.BigEndian.Uint64(row), int64(binary.BigEndian.Uint64(row[8:])),
			clamp(int64(binary.BigEndian.Uint64(row[16:]))),
		}
		l.until = min(l.until, now+int64(p.Lease))
		if l.until > now {
			list = append(list, l)
		}
	}
	return list, nil
}

func appendLeases(dst []byte, list []lease) (row []byte, until int64) {
	for _, l := range list {
		dst = binary.BigEndian.AppendUint64(dst, l.id)
		dst = binary.BigEndian.AppendUint64(dst, uint64(l.until))
		dst = binary.BigEndian.AppendUint64(dst, uint64(l.cost))
		until = max(until, l.until)
	}
	return dst, until
}

func used(list []lease) (n int64) {
	for _, l := range list {
		n += l.cost
	}
	return n
}

func (p Policy) takeLease(dst, row []byte, now, cost int64, id uint64) ([]byte, int64, Decision, error) {
	list, err := p.leasesOf(row, now)
	if err != nil {
		return dst, 0, Decision{}, err
	}
	d := Decision{Allowed: true, Limit: p.Limit}
	switch {
	case cost > p.Limit:
		d.Allowed, d.Retry = false, Never
	case used(list)+cost > p.Limit:
		d.Allowed, d.Retry = false, p.untilFree(list, now, cost)
	case cost > 0:
		list = append(list, lease{id, now + int64(p.Lease), cost})
	}
	d.Remaining = max(p.Limit-used(list), 0)
	next, until := appendLeases(dst, list)
	d.Reset = time.Duration(max(until-now, 0))
	return next, until, d, nil
}

// untilFree is the time until enough leases have ended, if nobody gives one back before.
func (p Policy) untilFree(list []lease, now, cost int64) time.Duration {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b lease) int { return int(a.until - b.until) })
	n := used(list)
	for _, l := range list {
		if n -= l.cost; n+cost <= p.Limit {
			return time.Duration(l.until - now)
		}
	}
	return p.Lease
}

// Release ends a lease; found tells whether there was one of that number.
func (p Policy) Release(dst, row []byte, now int64, id uint64) (next []byte, until int64, found bool, err error) {
	list, err := p.leasesOf(row, now)
	if err != nil {
		return dst, 0, false, err
	}
	n := len(list)
	list = slices.DeleteFunc(list, func(l lease) bool { return l.id == id })
	next, until = appendLeases(dst, list)
	return next, until, len(list) < n, nil
}

// Renew lets a lease begin anew; found tells whether there still was one of that number.
func (p Policy) Renew(dst, row []byte, now int64, id uint64) (next []byte, until int64, found bool, err error) {
	list, err := p.leasesOf(row, now)
	if err != nil {
		return dst, 0, false, err
	}
	for i := range list {
		if list[i].id == id {
			list[i].until, found = now+int64(p.Lease), true
		}
	}
	next, until = appendLeases(dst, list)
	return next, until, found, nil
}
