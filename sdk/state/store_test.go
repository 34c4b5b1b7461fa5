package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRowsSurviveTheStore(t *testing.T) {
	dir := t.TempDir()
	s, kv := openBytes(t, dir, Options{SegmentSize: MinSegmentSize})
	activate(t, s)
	for i := range 1000 {
		must(0, kv.Put(fmt.Sprint(i%300), fmt.Appendf(nil, "%d %0100d", i, i)))
	}
	must(kv.Delete("7"))
	must(0, s.Close())
	s, kv = openBytes(t, dir, Options{})
	if n, err := s.Load(t.Context()); n != 299 || err != nil {
		t.Fatalf("%d rows, %v", n, err)
	}
	if v, ok := kv.Get("299"); !ok || string(v) != fmt.Sprintf("%d %0100d", 899, 899) {
		t.Errorf("got %q, %v", v, ok)
	}
	if _, ok := kv.Get("7"); ok {
		t.Error("a deleted row is back")
	}
}

func TestAFollowerMayNotWrite(t *testing.T) {
	s, kv := openBytes(t, t.TempDir(), Options{})
	must(s.Load(t.Context()))
	_, deleted := kv.Delete("a")
	_, expired := kv.Expire("a", time.Time{})
	_, updated := kv.Update("a", func(v []byte, _ bool) ([]byte, error) { return v, nil })
	for _, err := range []error{kv.Put("a", nil), deleted, expired, updated, s.Settle(t.Context()), s.Shadow(t.Context(), nil, false, nil)} {
		if !errors.Is(err, ErrNotWriter) {
			t.Errorf("got %v, want ErrNotWriter", err)
		}
	}
}

func TestActivateNeedsLoad(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	if _, err := s.Activate(t.Context(), nil); err == nil {
		t.Error("activated without a log")
	}
}

func TestUpdateKeepsTheExpiry(t *testing.T) {
	s, kv := openBytes(t, t.TempDir(), Options{})
	activate(t, s)
	must(0, kv.PutTTL("a", []byte("1"), time.Hour))
	was, _ := kv.Expiry("a")
	must(kv.Update("a", func(v []byte, ok bool) ([]byte, error) { return append(v, '2'), nil }))
	if at, ok := kv.Expiry("a"); !ok || at != was || at.IsZero() {
		t.Errorf("expiry is %v, was %v", at, was)
	}
	refuse := errors.New("no")
	if _, err := kv.Update("a", func([]byte, bool) ([]byte, error) { return nil, refuse }); err != refuse {
		t.Errorf("got %v", err)
	}
	if v, _ := kv.Get("a"); string(v) != "12" {
		t.Errorf("got %q", v)
	}
	must(0, kv.Put("a", nil))
	if at, ok := kv.Expiry("a"); !ok || !at.IsZero() {
		t.Errorf("put left the expiry %v", at)
	}
}

func TestRowsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, kv := openBytes(t, dir, Options{})
		activate(t, s)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Follow(ctx) }()
		for i := range 1000 {
			must(0, kv.PutTTL(fmt.Sprint(i), nil, time.Minute))
		}
		must(0, kv.PutTTL("0", nil, 2*time.Minute))
		must(kv.Expire("1", time.Time{}))
		must(kv.Expire("2", time.Now().Add(-time.Second)))
		time.Sleep(time.Minute)
		if _, ok := kv.Get("3"); ok {
			t.Error("an expired row is there")
		}
		time.Sleep(time.Second)
		if kv.Len() != 2 || kv.Expired() != 997 {
			t.Errorf("%d rows are left, %d have expired", kv.Len(), kv.Expired())
		}
		time.Sleep(time.Minute)
		stop()
		<-done
		must(0, s.Close())
		s, _ = openBytes(t, dir, Options{})
		if n := must(s.Load(t.Context())); n != 1 {
			t.Errorf("%d rows came back", n)
		}
	})
}

func TestUpdatesOfOneRowDoNotOverlap(t *testing.T) {
	s, _ := openBytes(t, t.TempDir(), Options{SegmentSize: MinSegmentSize})
	n := NewTable(s, "n", Schema[int]{})
	activate(t, s)
	keep(t, s)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				must(n.Update("n", func(v int, _ bool) (int, error) { return v + 1, nil }))
			}
		})
	}
	wg.Wait()
	if v, _ := n.Get("n"); v != 2000 {
		t.Errorf("counted %d, want 2000", v)
	}
}

func TestScanAndRangeSeeEveryRowOnce(t *testing.T) {
	s, kv := openBytes(t, t.TempDir(), Options{})
	activate(t, s)
	for i := range 3000 {
		must(0, kv.Put(fmt.Sprint(i), nil))
	}
	seen := map[string]int{}
	for cursor := uint64(0); ; {
		keys, next := kv.Scan(cursor, 10)
		for _, k := range keys {
			seen[k]++
		}
		must(0, kv.Put(fmt.Sprint("new", next), nil))
		if cursor = next; cursor == 0 {
			break
		}
	}
	must(0, kv.Range(func(k string, _ []byte) bool { seen[k]++; return true }))
	for i := range 3000 {
		if n := seen[fmt.Sprint(i)]; n != 2 {
			t.Fatalf("row %d came %d times, want once each", i, n)
		}
	}
	calls := 0
	must(0, kv.Range(func(string, []byte) bool { calls++; return calls < 5 }))
	if calls != 5 {
		t.Errorf("range went on for %d rows", calls)
	}
}

func TestCheckRefusesRows(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	odd := errors.New("odd")
	n := NewTable(s, "n", Schema[int]{Check: func(_ string, v int) error {
		if v%2 == 1 {
			return odd
		}
		return nil
	}})
	activate(t, s)
	if err := n.Put("a", 1); !errors.Is(err, odd) {
		t.Errorf("got %v", err)
	}
	var row *RowError
	if _, err := n.Update("a", func(int, bool) (int, error) { return 3, nil }); !errors.As(err, &row) || row.Key != "a" {
		t.Errorf("got %v", err)
	}
	if n.Len() != 0 {
		t.Error("a refused row is there")
	}
}

func TestLargeRowsGetSegmentsOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	s, kv := openBytes(t, dir, Options{SegmentSize: MinSegmentSize})
	activate(t, s)
	large := make([]byte, 3<<20)
	large[len(large)-1] = 7
	must(0, kv.Put("small", []byte("x")))
	must(0, kv.Put("large", large))
	must(0, kv.Put("small2", []byte("y")))
	must(0, s.Close())
	s, kv = openBytes(t, dir, Options{})
	must(s.Load(t.Context()))
	if v, _ := kv.Get("large"); !reflect.DeepEqual(v, large) {
		t.Error("the large row is not what it was")
	}
	if err := kv.Put(string(make([]byte, MaxKey+1)), nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestRightsGoToAndFro(t *testing.T) {
	dir := memDir(t)
	one, a := openBytes(t, dir, Options{SegmentSize: MinSegmentSize})
	two, b := openBytes(t, dir, Options{SegmentSize: MinSegmentSize})
	activate(t, one)
	must(two.Load(t.Context()))
	keep(t, one)
	keep(t, two)
	stores, tables := []*Store{one, two}, []*Table[[]byte]{a, b}
	var acked sync.Map
	stop := atomic.Bool{}
	var wg sync.WaitGroup
	for w := range 2 {
		for i := range tables {
			wg.Go(func() {
				for n := 0; !stop.Load(); n++ {
					key := fmt.Sprintf("%d-%d-%d", w, i, n%50)
					if err := tables[i].Put(key, fmt.Append(nil, n)); err == nil {
						acked.Store(key, fmt.Sprint(n))
					} else if !errors.Is(err, ErrNotWriter) {
						t.Errorf("put: %v", err)
					}
				}
			})
		}
	}
	for i := range 30 {
		next := (i + 1) % 2
		if i%3 == 0 {
			must(0, stores[1-next].Release())
		}
		must(stores[next].Activate(t.Context(), nil))
		if stores[1-next].Writer() || !stores[next].Writer() {
			t.Fatal("not exactly one writer")
		}
		time.Sleep(2 * time.Millisecond)
	}
	stop.Store(true)
	wg.Wait()
	for i, s := range stores {
		await(t, "both to be level", func() bool { return s.Writer() || s.Lag() == 0 })
		if s.Writer() {
			continue
		}
		must(0, s.catchUp(t.Context()))
		acked.Range(func(k, v any) bool {
			if got, _ := tables[i].Get(k.(string)); string(got) != v {
				t.Errorf("store %d: %s is %q, want %s", i, k, got, v)
			}
			return true
		})
	}
	sameRows(t, a, b)
}

func sameRows(t testing.TB, a, b *Table[[]byte]) {
	t.Helper()
	left, right := dump(a), dump(b)
	if !reflect.DeepEqual(left, right) {
		t.Errorf("%d rows here, %d there, and not the same", len(left), len(right))
	}
}

func dump(kv *Table[[]byte]) map[string]string {
	m := map[string]string{}
	must(0, kv.Range(func(k string, v []byte) bool { m[k] = string(v); return true }))
	return m
}

func TestCompactionKeepsTheRowsAndDeletesTheLog(t *testing.T) {
	dir := t.TempDir()
	s, kv := openBytes(t, dir, Options{SegmentSize: MinSegmentSize})
	other := NewTable(s, "other", Schema[int]{})
	activate(t, s)
	must(0, other.Put("x", 42))
	for i := range 5000 {
		must(0, kv.Put(fmt.Sprint(i%100), fmt.Appendf(nil, "%0100d", i)))
	}
	before := s.Stats()
	if !s.wasteful() {
		t.Fatalf("%+v is not worth compacting", before)
	}
	must(0, s.compact(t.Context()))
	if after := s.Stats(); after.Segments > 4 || after.LogBytes > before.LogBytes/10 {
		t.Errorf("%d segments with %d bytes are left", after.Segments, after.LogBytes)
	}
	want := dump(kv)
	must(0, s.Close())
	s, kv = openBytes(t, dir, Options{}) // does not know the table "other"
	must(s.Load(t.Context()))
	if got := dump(kv); !reflect.DeepEqual(got, want) || len(got) != 100 {
		t.Errorf("%d rows, want the %d that were there", len(got), len(want))
	}
	must(s.Activate(t.Context(), nil))
	must(0, kv.Put("more", nil))
	must(0, s.compact(t.Context()))
	must(0, s.Close())
	s = open(t, dir, Options{})
	other = NewTable(s, "other", Schema[int]{})
	must(s.Load(t.Context()))
	if v, ok := other.Get("x"); !ok || v != 42 {
		t.Errorf("a row that the program between did not know is %d, %v", v, ok)
	}
}

func TestNothingIsDeletedUnderAReader(t *testing.T) {
	dir := memDir(t)
	s, kv := openBytes(t, dir, Options{SegmentSize: MinSegmentSize})
	activate(t, s)
	fill(t, kv, 2000)
	fill(t, kv, 2000)
	reader, _ := openBytes(t, dir, Options{})
	must(reader.Load(t.Context()))
	files := len(must(listSegments(dir)))
	must(0, s.compact(t.Context()))
	if n := len(must(listSegments(dir))); n < files {
		t.Errorf("%d files were deleted", files-n)
	}
	must(0, reader.Close())
	must(0, s.compact(t.Context()))
	if n := len(must(listSegments(dir))); n >= files {
		t.Error("nothing was deleted afterwards")
	}
}

func TestCompactionBesideWritersAndOpeners(t *testing.T) {
	dir := memDir(t)
	s, kv := openBytes(t, dir, Options{SegmentSize: 1 << 18})
	activate(t, s)
	keep(t, s)
	var stop atomic.Bool
	var wg sync.WaitGroup
	last := [4]int{-1, -1, -1, -1}
	for w := range last {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				must(0, kv.Put(fmt.Sprintf("%d-%d", w, n%100), fmt.Append(nil, n)))
				if v, ok := kv.Get(fmt.Sprintf("%d-%d", w, n%100)); !ok || string(v) != fmt.Sprint(n) {
					t.Errorf("wrote %d, read %q", n, v)
				}
				last[w] = n
				time.Sleep(20 * time.Microsecond)
			}
		})
	}
	for began, round := time.Now(), 0; round < 10 || time.Since(began) < 200*time.Millisecond; round++ {
		must(0, s.compact(t.Context()))
		reader, _ := openBytes(t, dir, Options{})
		if _, err := reader.Load(t.Context()); err != nil {
			t.Errorf("load beside a writer: %v", err)
		}
		must(0, reader.Close())
	}
	stop.Store(true)
	wg.Wait()
	must(0, s.Release())
	reader, again := openBytes(t, dir, Options{})
	must(reader.Load(t.Context()))
	sameRows(t, kv, again)
	for w, n := range last {
		if v, _ := again.Get(fmt.Sprintf("%d-%d", w, n%100)); n >= 0 && string(v) != fmt.Sprint(n) {
			t.Errorf("the last write of %d was %d, it is %q", w, n, v)
		}
	}
}

func TestDurableWritesAreSynced(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{SegmentSize: MinSegmentSize})
	kv := NewTable(s, "kv", Schema[[]byte]{}, Durable)
	activate(t, s)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 40 {
				must(0, kv.Put(fmt.Sprint(w, i), make([]byte, 100)))
			}
		})
	}
	wg.Wait()
	for _, g := range s.chain {
		if got, want := g.syncedTo(), word(g.commit().Load()).position(); got != want {
			t.Errorf("%s is synced up to %d of %d", g.id, got, want)
		}
	}
}

func TestAFullDiskRefusesAndLosesNothing(t *testing.T) {
	var full atomic.Bool
	dir := t.TempDir()
	o := Options{SegmentSize: MinSegmentSize, allocate: func(f *os.File, size int64) error {
		if full.Load() {
			return fmt.Errorf("fallocate: %w", errNoBlocks)
		}
		return allocate(f, size)
	}}
	s, kv := openBytes(t, dir, o)
	activate(t, s)
	full.Store(true)
	want := fillUp(t, kv)
	standby, _ := openBytes(t, dir, o)
	must(standby.Load(t.Context()))
	if _, err := standby.Activate(t.Context(), nil); !errors.Is(err, ErrNoSpace) || !s.Writer() {
		t.Errorf("activate on a full disk: %v; the old writer is one: %v", err, s.Writer())
	}
	full.Store(false)
	must(0, kv.Put("more", nil))
	want["more"] = ""
	must(0, s.Close())
	standby.catchUp(t.Context())
	s, kv = openBytes(t, dir, Options{})
	must(s.Load(t.Context()))
	if got := dump(kv); !reflect.DeepEqual(got, want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
}

// fillUp writes until the disk is full.
func fillUp(t *testing.T, kv *Table[[]byte]) map[string]string {
	t.Helper()
	want := map[string]string{}
	for i := 0; ; i++ {
		key, value := fmt.Sprint(i), make([]byte, 200)
		err := kv.Put(key, value)
		if errors.Is(err, ErrNoSpace) && i > 10 {
			return want
		}
		if err != nil {
			t.Fatalf("row %d: %v", i, err)
		}
		want[key] = string(value)
	}
}

// A follower that looked every millisecond, come what may, would wake a processor a thousand times a second for nothing.
func TestAFollowerRestsWhileNothingIsWritten(t *testing.T) {
	dir := t.TempDir()
	s, kv := openBytes(t, dir, Options{})
	activate(t, s)
	follower, _ := openBytes(t, dir, Options{})
	must(follower.Load(t.Context()))
	again := func() time.Duration { return must(follower.look(t.Context())) }
	if d := again(); d != followRest {
		t.Errorf("nothing was written, the next look is in %s, want %s", d, followRest)
	}
	must(0, kv.Put("key", nil))
	if d := again(); d != followEvery {
		t.Errorf("a row was written, the next look is in %s, want %s", d, followEvery)
	}
	if d := again(); d != followRest {
		t.Errorf("nothing more was written, the next look is in %s, want %s", d, followRest)
	}
}

func TestLagIsWhatIsNotReadYet(t *testing.T) {
	dir := t.TempDir()
	s, kv := openBytes(t, dir, Options{SegmentSize: MinSegmentSize})
	activate(t, s)
	two, other := openBytes(t, dir, Options{SegmentSize: MinSegmentSize})
	must(two.Load(t.Context()))
	fill(t, kv, 500)
	if lag, want := two.Lag(), s.Stats().LogBytes; lag != want || s.Lag() != 0 {
		t.Errorf("the follower lags %d bytes of %d, the writer %d", lag, want, s.Lag())
	}
	must(0, two.catchUp(t.Context()))
	if lag := two.Lag(); lag != 0 || other.Len() != 500 {
		t.Errorf("lags %d bytes with %d rows", lag, other.Len())
	}
	if st := two.Stats(); st.Epoch != 1 || st.Rows["kv"] != 500 || st.Segments < 4 {
		t.Errorf("got %+v", st)
	}
}

func TestAClosedStoreAnswersAndWritesNothing(t *testing.T) {
	s, kv := openBytes(t, t.TempDir(), Options{})
	activate(t, s)
	must(0, kv.Put("a", nil))
	must(0, s.Close())
	if _, ok := kv.Get("a"); ok || kv.Len() != 0 {
		t.Error("a row is there")
	}
	if err := kv.Put("a", nil); !errors.Is(err, ErrNotWriter) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Load(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Activate(t.Context(), nil); err == nil {
		t.Error("activated")
	}
}
