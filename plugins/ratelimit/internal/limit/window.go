package limit

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// A window is the count of this period and of the one before. What was used in the last Per is taken to be the count of
// this period and such a part of the one before as lies within the last Per. Its row has twenty-four bytes.
type window struct{ start, used, before int64 }

func (p Policy) windowOf(row []byte, now int64) (w window, err error) {
	switch len(row) {
	case 0:
	case 24:
		w = window{int64(binary.BigEndian.Uint64(row)), int64(binary.BigEndian.Uint64(row[8:])), int64(binary.BigEndian.Uint64(row[16:]))}
	default:
		return w, errRow
	}
	start := now - now%int64(p.Per)
	switch {
	case w.start >= start: // this one, or the clock was set back
	case w.start == start-int64(p.Per):
		w.used, w.before = 0, w.used
	default:
		w.used, w.before = 0, 0
	}
	return window{start, clamp(w.used), clamp(w.before)}, nil
}

// clamp keeps a count of a damaged or foreign row within what is counted here.
func clamp(n int64) int64 { return min(max(n, 0), MaxLimit) }

func (w window) append(dst []byte) []byte {
	for _, n := range []int64{w.start, w.used, w.before} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	return dst
}

// weighted is what was used in the last Per.
func (w window) weighted(now int64, per int64) int64 {
	return w.used + share(w.before, w.start+per-now, per)
}

// share is n*part/whole, rounded up.
func share(n, part, whole int64) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(part))
	lo, carry := bits.Add64(lo, uint64(whole-1), 0)
	q, _ := bits.Div64(hi+carry, lo, uint64(whole))
	return int64(q)
}

func (p Policy) takeWindow(dst, row []byte, now, cost int64) ([]byte, int64, Decision, error) {
	w, err := p.windowOf(row, now)
	if err != nil {
		return dst, 0, Decision{}, err
	}
	per := int64(p.Per)
	d := Decision{Allowed: true, Limit: p.Limit}
	switch {
	case cost > p.Limit:
		d.Allowed, d.Retry = false, Never
	case w.weighted(now, per)+cost > p.Limit:
		d.Allowed, d.Retry = false, p.untilRoom(w, now, cost)
	default:
		w.used += cost
	}
	d.Remaining = max(p.Limit-w.weighted(now, per), 0)
	switch {
	case w.used > 0:
		d.Reset = time.Duration(w.start + 2*per - now)
	case w.before > 0:
		d.Reset = time.Duration(w.start + per - now)
	}
	return w.append(dst), w.start + 2*per, d, nil
}

// untilRoom is the time until there is room for cost if nothing else is taken: the part of the period before that
// counts must have become small enough, in this period or in the next one.
func (p Policy) untilRoom(w window, now, cost int64) time.Duration {
	per := int64(p.Per)
	if room := p.Limit - cost - w.used; room >= 0 {
		return time.Duration(w.start + fades(w.before, room, per) - now)
	}
	return time.Duration(w.start + per + fades(w.used, p.Limit-cost, per) - now)
}

// fades is the time in a period after which not more than room of the n of the period before count.
func fades(n, room, per int64) int64 {
	if room >= n {
		return 0
	}
	hi, lo := bits.Mul64(uint64(room), uint64(per))
	q, _ := bits.Div64(hi, lo, uint64(n))
	return per - int64(q)
}

func (p Policy) refundWindow(dst, row []byte, now, cost int64) ([]byte, int64, error) {
	w, err := p.windowOf(row, now)
	if err != nil {
		return dst, 0, err
	}
	here := min(cost, w.used)
	w.used -= here
	w.before = max(w.before-(cost-here), 0)
	return w.append(dst), w.start + 2*int64(p.Per), nil
}
