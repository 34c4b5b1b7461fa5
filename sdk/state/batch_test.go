package state

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Whoever reads the log at any instant, as the next process does after a crash, finds all rows of a batch or none.
func TestABatchIsThereWholeOrNotAtAll(t *testing.T) {
	dir := memDir(t)
	s, kv := openBytes(t, dir, Options{SegmentSize: MinSegmentSize})
	other := NewTable(s, "other", Schema[int]{Name: "number"})
	activate(t, s)
	ended := make(chan error, 1)
	go func() {
		for n := range 3000 {
			var b Batch
			for i := range 5 {
				must(0, kv.PutIn(&b, fmt.Sprint("key", i), fmt.Append(nil, n), time.Time{}))
			}
			must(0, other.PutIn(&b, "n", n, time.Time{}))
			if err := b.Commit(); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
		after, rows := openBytes(t, dir, Options{})
		numbers := NewTable(after, "other", Schema[int]{Name: "number"})
		must(after.Load(t.Context()))
		n, there := numbers.Get("n")
		for i := range 5 {
			if v, ok := rows.Get(fmt.Sprint("key", i)); ok != there || ok && string(v) != fmt.Sprint(n) {
				t.Errorf("key%d is %s while n is %d", i, v, n)
			}
		}
		must(0, after.Close())
	}
}

// Batches over the same rows in any order do not wait for each other for ever.
func TestBatchesSideBySide(t *testing.T) {
	s, kv := openBytes(t, memDir(t), Options{})
	other := NewTable(s, "another", Schema[[]byte]{Name: "blob"})
	activate(t, s)
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 500 {
				var b Batch
				for j := range 4 {
					table := []*Table[[]byte]{kv, other}[(i+j+n)%2]
					must(0, table.PutIn(&b, fmt.Sprint((i*n+j*7)%10), nil, time.Time{}))
				}
				must(0, b.Commit())
			}
		})
	}
	all.Wait()
}

func TestABatchThatCannotBeWrittenWritesNothing(t *testing.T) {
	var full atomic.Bool
	s, kv := openBytes(t, memDir(t), Options{SegmentSize: MinSegmentSize, allocate: func(f *os.File, size int64) error {
		if full.Load() {
			return errNoBlocks
		}
		return allocate(f, size)
	}})
	activate(t, s)
	must(0, kv.Put("a", []byte("before")))
	full.Store(true)
	var b Batch
	must(0, kv.PutIn(&b, "a", []byte("after"), time.Time{}))
	must(0, kv.PutIn(&b, "large", make([]byte, 2*MinSegmentSize), time.Time{}))
	if err := b.Commit(); !errors.Is(err, ErrNoSpace) {
		t.Error(err)
	}
	if v, _ := kv.Get("a"); string(v) != "before" || kv.Len() != 1 {
		t.Errorf("a is %s, and there are %d rows", v, kv.Len())
	}
	full.Store(false)
	must(0, b.Commit())
	if v, _ := kv.Get("a"); string(v) != "after" || kv.Len() != 2 {
		t.Errorf("a is %s, and there are %d rows", v, kv.Len())
	}
	if err := kv.PutIn(&b, string(make([]byte, MaxKey+1)), nil, time.Time{}); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}

func TestABatchOfDurableRowsIsOnDisk(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	kv := NewTable(s, "kv", Schema[[]byte]{Name: "blob"}, Durable)
	activate(t, s)
	var b Batch
	must(0, kv.PutIn(&b, "a", nil, time.Time{}))
	must(0, b.Commit())
	s.w.mu.Lock()
	written := s.w.written
	s.w.mu.Unlock()
	if s.sync.done < written {
		t.Errorf("%d bytes are on disk of %d", s.sync.done, written)
	}
	must(0, new(Batch).Commit())
}
