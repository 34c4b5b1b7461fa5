package drill

import (
	"testing"

	"pgregory.net/rapid"
)

// A row passes if and only if it holds what was acknowledged, and at most what was in doubt besides.
func TestLedgerCheck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(1)
		acked := rapid.Uint32Range(0, 1000).Draw(t, "acknowledged")
		unsure := rapid.Uint8Range(0, 5).Draw(t, "in doubt")
		count := rapid.Int64Range(0, 1010).Draw(t, "counted")
		l.acked[0], l.unsure[0] = acked, unsure
		want := count >= int64(acked) && count <= int64(acked)+int64(unsure)
		if got := l.check(0, count) == nil; got != want {
			t.Fatalf("check says %v, want %v", got, want)
		}
		l.settle(0, count)
		if l.check(0, count) != nil || l.check(0, count+1) == nil || l.total() != uint64(count) || l.doubts() != 0 {
			t.Fatal("after settle the count is the only right one")
		}
	})
}

func TestNamesOfRows(t *testing.T) {
	for i, want := range map[int]string{0: "user-0000000", 7: "user-0000007", 1234567: "user-1234567", 9999999: "user-9999999"} {
		if got := user(i); got != want {
			t.Errorf("row %d is %s, want %s", i, got, want)
		}
	}
}
