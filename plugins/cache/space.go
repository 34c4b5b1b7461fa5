package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/state"
)

// Keep is what the values of a namespace outlive.
type Keep string

// The three ways to keep values.
const (
	Durable  Keep = "durable"  // a loss of power
	Volatile Keep = "volatile" // the process: upgrades, crashes, restarts
	Drop     Keep = "drop"     // nothing: they end with the process
)

// Config of a namespace, as it lies in the state log. The namespace "session" is all keys that begin with "session:";
// the namespace "" is all keys without one of their own.
type Config struct {
	TTL        int64 `json:"ttl_ms"`      // of keys that are written without one, in milliseconds; 0 for ever
	Sliding    bool  `json:"sliding"`     // a hit begins the time to live again
	Keep       Keep  `json:"keep"`        //
	MaxEntries int64 `json:"max_entries"` // 0: any number
	MaxBytes   int64 `json:"max_bytes"`   // of keys and values; 0: any number
}

// space is a namespace in this process.
type space struct {
	Config
	name  string
	rows  *state.Table[[]byte]
	stats *counters
	bound *bound // nil: none
}

// spaces is all namespaces. Which there are changes seldom, and every command asks.
type spaces struct {
	locks  *locks // of keys
	tables map[Keep]*state.Table[[]byte]
	rows   *state.Table[Config]
	counts *state.Table[Counts]
	root   *space
	named  atomic.Pointer[map[string]*space]
	mu     sync.Mutex // held while they are changed
	fill   chan struct{}
}

var configSchema = state.Schema[Config]{Name: "namespace", Version: 1}

func (ss *spaces) open(s *sdk.Setup) {
	ended := state.Ended(ss.ended)
	ss.tables = map[Keep]*state.Table[[]byte]{
		Durable:  state.NewTable(s, "durable", schema, state.Durable, ended),
		Volatile: state.NewTable(s, "entries", schema, ended),
		Drop:     state.NewTable(s, "passing", schema, state.Passing, ended),
	}
	ss.rows = state.NewTable(s, "namespaces", configSchema)
	ss.counts = state.NewTable(s, "counts", countsSchema)
	ss.root = &space{Config: Config{Keep: Volatile}, rows: ss.tables[Volatile], stats: &counters{}}
	ss.named.Store(&map[string]*space{})
	ss.fill = make(chan struct{}, 1)
}

// of is the namespace of a key.
func (ss *spaces) of(key []byte) *space {
	named := *ss.named.Load()
	if len(named) == 0 {
		return ss.root
	}
	if i := bytes.IndexByte(key, ':'); i > 0 {
		if s := named[string(key[:i])]; s != nil {
			return s
		}
	}
	return ss.root
}

// load reads which namespaces there are.
func (ss *spaces) load() error {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	before, named := *ss.named.Load(), map[string]*space{}
	var failed error
	err := ss.rows.Range(func(name string, cfg Config) bool {
		if old := before[name]; old != nil && old.Config == cfg && old.bound == nil {
			named[name] = old
			return true
		}
		named[name], failed = ss.make(name, cfg)
		return failed == nil
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	ss.named.Store(&named)
	return ss.loadCounts()
}

func (ss *spaces) make(name string, cfg Config) (*space, error) {
	s := &space{Config: cfg, name: name, rows: ss.tables[cfg.Keep], stats: &counters{}}
	if s.rows == nil {
		return nil, fmt.Errorf("namespace %s: it is kept %q, which this version does not know", name, cfg.Keep)
	}
	var err error
	s.bound, err = newBound(ss, s)
	return s, err
}

// every lists the namespaces by name, the one without a name first.
func (ss *spaces) every() []*space {
	list := []*space{ss.root}
	named := *ss.named.Load()
	for _, name := range slices.Sorted(maps.Keys(named)) {
		list = append(list, named[name])
	}
	return list
}

// get is the namespace of that name, nil if there is none.
func (ss *spaces) get(name string) *space {
	if name == "" {
		return ss.root
	}
	return (*ss.named.Load())[name]
}

// setSpace makes or changes a namespace; held says that all locks are held. Nobody writes meanwhile: a command that has
// found out where a key is kept would write there after nobody looks there any more.
func (c *cache) setSpace(name string, cfg Config, held bool) error {
	if err := c.spaces.canKeep(name, cfg.Keep); err != nil {
		return err // most who cannot be served disturb nobody
	}
	return c.locks.allAlone(held, func() error { return c.spaces.set(name, cfg) })
}

// dropSpace ends a namespace, and tells whether there was one; held says that all locks are held.
func (c *cache) dropSpace(name string, held bool) (was bool, err error) {
	err = c.locks.allAlone(held, func() error {
		was, err = c.spaces.drop(name)
		return err
	})
	return was, err
}

// canKeep says why the keys of a namespace cannot be kept so: there are some that are kept otherwise.
func (ss *spaces) canKeep(name string, keep Keep) error {
	before := ss.get(name)
	if before == nil {
		before = ss.root
	}
	if before.Keep == keep {
		return nil
	}
	mine := &space{name: name, rows: before.rows}
	if n := mine.keys(); n > 0 {
		return failure(fmt.Sprintf("ERR namespace '%s' has %d keys that are kept %s; flush it first", name, n, before.Keep))
	}
	return nil
}

// set makes or changes a namespace. Keys that are there belong to it at once; where they are kept can be changed only
// while there are none. All locks are held.
func (ss *spaces) set(name string, cfg Config) error {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if err := ss.canKeep(name, cfg.Keep); err != nil {
		return err
	}
	s, err := ss.make(name, cfg)
	if err != nil {
		return err
	}
	if before := ss.get(name); before != nil {
		s.stats = before.stats
	}
	if err := ss.rows.Put(name, cfg); err != nil {
		return err
	}
	ss.swap(name, s)
	return nil
}

// swap makes all commands from now on see a namespace; nil is none.
func (ss *spaces) swap(name string, s *space) {
	named := maps.Clone(*ss.named.Load())
	if named[name] = s; s == nil {
		delete(named, name)
	}
	ss.named.Store(&named)
	select {
	case ss.fill <- struct{}{}:
	default:
	}
}

// drop ends a namespace that has no keys, or whose keys can be in the one without a name. All locks are held.
func (ss *spaces) drop(name string) (bool, error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.get(name)
	if s == nil || s == ss.root {
		return false, nil
	}
	if s.Keep != Volatile {
		if n := s.keys(); n > 0 {
			return false, failure(fmt.Sprintf("ERR namespace '%s' has %d keys; flush it first", name, n))
		}
	}
	_, err := ss.rows.Delete(name)
	if err == nil {
		ss.swap(name, nil)
	}
	return true, err
}

// keys counts those of s in its table, without a look at what is there: everybody may be waiting.
func (s *space) keys() (n int) {
	for cursor, more := uint64(0), true; more; more = cursor != 0 {
		var some []string
		some, cursor = s.rows.Scan(cursor, maxScan)
		for _, key := range some {
			if s.has(key) {
				n++
			}
		}
	}
	return n
}

// has tells whether a key of the table belongs to s.
func (s *space) has(key string) bool {
	return len(key) > len(s.name) && key[len(s.name)] == ':' && key[:len(s.name)] == s.name
}

// ended is told of keys that have expired.
func (ss *spaces) ended(key []byte) {
	s := ss.of(key)
	s.stats.expired.Add(1)
	s.bound.forget(key)
}

// run keeps what is counted, and tells bounds of the keys that are there.
func (ss *spaces) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		ss.fillBounds(ctx)
		select {
		case <-ctx.Done():
			ss.saveCounts()
			return context.Cause(ctx)
		case <-tick.C:
			ss.saveCounts()
		case <-ss.fill:
		}
	}
}
