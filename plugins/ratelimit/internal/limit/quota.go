package limit

import (
	"encoding/binary"
	"time"
)

// A quota begins anew at each multiple of Per since 1970, so a day begins at midnight UTC. Its row is the start of the
// period and what was used since, sixteen bytes.
type quota struct{ start, used int64 }

// now is the quota as it stands: one that lies in the future, since the clock was set back, counts on in this period.
func (p Policy) quotaOf(row []byte, now int64) (q quota, err error) {
	switch len(row) {
	case 0:
	case 16:
		q = quota{int64(binary.BigEndian.Uint64(row)), int64(binary.BigEndian.Uint64(row[8:]))}
	default:
		return q, errRow
	}
	start := now - now%int64(p.Per)
	if q.start < start {
		q.used = 0
	}
	return quota{start, max(q.used, 0)}, nil
}

func (q quota) append(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(q.start)), uint64(q.used))
}

func (p Policy) takeQuota(dst, row []byte, now, cost int64) ([]byte, int64, Decision, error) {
	q, err := p.quotaOf(row, now)
	if err != nil {
		return dst, 0, Decision{}, err
	}
	end := q.start + int64(p.Per)
	d := Decision{Allowed: true, Limit: p.Limit}
	switch {
	case cost > p.Limit:
		d.Allowed, d.Retry = false, Never
	case q.used+cost > p.Limit:
		d.Allowed, d.Retry = false, time.Duration(end-now)
	default:
		q.used += cost
	}
	d.Remaining = max(p.Limit-q.used, 0)
	if q.used > 0 {
		d.Reset = time.Duration(end - now)
	}
	return q.append(dst), end, d, nil
}

func (p Policy) refundQuota(dst, row []byte, now, cost int64) ([]byte, int64, error) {
	q, err := p.quotaOf(row, now)
	if err != nil {
		return dst, 0, err
	}
	q.used = max(q.used-cost, 0)
	return q.append(dst), q.start + int64(p.Per), nil
}
