package state

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world is a log with two stores in front of it, and what should be in it.
type world struct {
	tb     testing.TB
	dir    string
	clock  time.Time
	stores [2]*Store
	tables [2]*Table[[]byte]
	writer int
	model  map[string]entry
}

type entry struct {
	value string
	until time.Time
}

func (w *world) now() time.Time { return w.clock }

func (w *world) open(i int) {
	o := Options{SegmentSize: MinSegmentSize, Now: w.now, Logger: quiet}
	w.stores[i] = must(Open(w.dir, o))
	w.tables[i] = NewTable(w.stores[i], "kv", Schema[[]byte]{})
	must(w.stores[i].Load(noContext))
}

func (w *world) table() *Table[[]byte] { return w.tables[w.writer] }

// live is the model without what has expired.
func (w *world) live() map[string]entry {
	m := map[string]entry{}
	for k, e := range w.model {
		if e.until.IsZero() || e.until.After(w.clock) {
			m[k] = e
		}
	}
	return m
}

// TestStoreIsAMap does at random what can be done to a log, and compares both stores with a map after each step.
func TestStoreIsAMap(t *testing.T) {
	base, round := memDir(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		w := &world{tb: t, dir: filepath.Join(base, strconv.Itoa(round)), clock: time.UnixMilli(1e12), model: map[string]entry{}}
		w.open(0)
		w.open(1)
		must(w.stores[0].Activate(noContext, nil))
		rt.Repeat(w.actions())
		for _, s := range w.stores {
			must(0, s.Close())
		}
	})
}

func (w *world) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"put": func(rt *rapid.T) {
			k, v := modelKey(rt), rapid.StringN(0, 300, 600).Draw(rt, "value")
			must(0, w.table().Put(k, []byte(v)))
			w.model[k] = entry{value: v}
		},
		"put with ttl": func(rt *rapid.T) {
			k, ttl := modelKey(rt), time.Duration(rapid.IntRange(1, 50).Draw(rt, "ttl"))*time.Millisecond
			must(0, w.table().PutTTL(k, []byte(k), ttl))
			w.model[k] = entry{value: k, until: w.clock.Add(ttl)}
		},
		"update":       func(rt *rapid.T) { w.update(modelKey(rt)) },
		"update until": func(rt *rapid.T) { w.updateUntil(rt, modelKey(rt)) },
		"batch":        func(rt *rapid.T) { w.batch(rt) },
		"delete": func(rt *rapid.T) {
			k := modelKey(rt)
			if _, want := w.live()[k]; must(w.table().Delete(k)) != want {
				rt.Fatalf("delete of %s says %v", k, !want)
			}
			delete(w.model, k)
		},
		"expire": func(rt *rapid.T) { w.expire(rt, modelKey(rt)) },
		"time": func(rt *rapid.T) {
			w.clock = w.clock.Add(time.Duration(rapid.IntRange(1, 30).Draw(rt, "ms")) * time.Millisecond)
		},
		"sweep": func(rt *rapid.T) { w.tables[rapid.IntRange(0, 1).Draw(rt, "i")].rows.sweep(w.stores[0].now()) },
		"switch": func(*rapid.T) {
			w.writer = 1 - w.writer
			must(w.stores[w.writer].Activate(noContext, nil))
		},
		"release": func(*rapid.T) {
			must(0, w.stores[w.writer].Release())
			must(w.stores[w.writer].Activate(noContext, nil))
		},
		"reopen":  func(*rapid.T) { w.reopen() },
		"compact": func(*rapid.T) { must(0, w.stores[w.writer].compact(noContext)) },
		"":        w.compare,
	}
}

func modelKey(rt *rapid.T) string { return strconv.Itoa(rapid.IntRange(0, 30).Draw(rt, "key")) }

func (w *world) update(k string) {
	was, there := w.live()[k]
	if !there {
		was = entry{}
	}
	must(w.table().Update(k, func(v []byte, ok bool) ([]byte, error) {
		if ok != there || string(v) != was.value {
			return nil, fmt.Errorf("update saw %q, %v", v, ok)
		}
		return append(v[:len(v):len(v)], '+'), nil
	}))
	was.value += "+"
	w.model[k] = was
}

// until is an instant from 5 ms ago, or never.
func (w *world) until(rt *rapid.T) time.Time {
	if !rapid.Bool().Draw(rt, "ends") {
		return time.Time{}
	}
	return w.clock.Add(time.Duration(rapid.IntRange(-5, 50).Draw(rt, "ms")) * time.Millisecond)
}

func (w *world) updateUntil(rt *rapid.T, k string) {
	until, was := w.until(rt), w.live()[k]
	must(w.table().UpdateUntil(k, func(v []byte, _ bool) ([]byte, time.Time, error) {
		return append(v[:len(v):len(v)], '-'), until, nil
	}))
	w.model[k] = entry{was.value + "-", until}
}

func (w *world) batch(rt *rapid.T) {
	var b Batch
	for n := range rapid.IntRange(0, 5).Draw(rt, "rows") {
		k, v, until := modelKey(rt), strconv.Itoa(n), w.until(rt)
		must(0, w.table().PutIn(&b, k, []byte(v), until))
		w.model[k] = entry{v, until}
	}
	must(0, b.Commit())
}

func (w *world) expire(rt *rapid.T, k string) {
	was, there := w.live()[k]
	until := w.until(rt)
	if must(w.table().Expire(k, until)) != there {
		rt.Fatalf("expire of %s says %v", k, !there)
	}
	if there {
		was.until = until
		w.model[k] = was
	}
}

// reopen closes the one that writes as a crash would, or lets the other one read the log anew, and compacts when
// nobody else reads.
func (w *world) reopen() {
	other := 1 - w.writer
	must(0, w.stores[other].Close())
	must(0, w.stores[w.writer].compact(noContext))
	w.open(other)
	must(0, w.stores[w.writer].Close())
	w.open(w.writer)
	must(w.stores[w.writer].Activate(noContext, nil))
}

func (w *world) compare(rt *rapid.T) {
	want := map[string]string{}
	for k, e := range w.live() {
		want[k] = e.value
	}
	for i, s := range w.stores {
		must(0, s.catchUp(context.Background()))
		got := map[string]string{}
		for _, k := range must2(w.tables[i].Scan(0, 1000)) {
			v, ok := w.tables[i].Get(k)
			if at, _ := w.tables[i].Expiry(k); !ok || !at.Equal(w.model[k].until) {
				rt.Fatalf("store %d: %s expires at %v, want %v", i, k, at, w.model[k].until)
			}
			got[k] = string(v)
		}
		if !reflect.DeepEqual(got, want) {
			rt.Fatalf("store %d has %v\nwant %v", i, got, want)
		}
	}
}

func must2(keys []string, _ uint64) []string { return keys }
