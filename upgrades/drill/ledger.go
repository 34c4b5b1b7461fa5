package drill

import "fmt"

// ledger is what the clients know: how often each user's visit was acknowledged. Each user belongs to one writer, so
// the counts need no lock; they may be read when the writers have stopped.
type ledger struct {
	acked  []uint32
	unsure []uint8 // sent, but no answer came: each may count or not
}

func newLedger(rows int) *ledger {
	return &ledger{acked: make([]uint32, rows), unsure: make([]uint8, rows)}
}

// user is the name of row i.
func user(i int) string { return string(appendUser(nil, i)) }

func appendUser(b []byte, i int) []byte {
	const digits = 7
	b = append(b, "user-0000000"...)
	for at := len(b) - 1; i > 0 && at >= len(b)-digits; at, i = at-1, i/10 {
		b[at] = byte('0' + i%10)
	}
	return b
}

// total counts the acknowledged visits.
func (l *ledger) total() (n uint64) {
	for _, c := range l.acked {
		n += uint64(c)
	}
	return n
}

// doubts counts the visits whose answer never came.
func (l *ledger) doubts() (n uint64) {
	for _, c := range l.unsure {
		n += uint64(c)
	}
	return n
}

// check compares a row's count with what was acknowledged. A visit in doubt may have been counted, once.
func (l *ledger) check(i int, count int64) error {
	low := int64(l.acked[i])
	high := low + int64(l.unsure[i])
	switch {
	case count < low:
		return fmt.Errorf("%s: %d visits, %d were acknowledged: lost", user(i), count, low)
	case count > high:
		return fmt.Errorf("%s: %d visits, %d were acknowledged: counted twice", user(i), count, low)
	}
	return nil
}

// settle takes the counts as they are now for acknowledged: what was in doubt has been looked at.
func (l *ledger) settle(i int, count int64) {
	l.acked[i], l.unsure[i] = uint32(count), 0
}
