package state

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/theseusd/theseus/sdk/describe"
)

// Options of a store; the zero value works.
type Options struct {
	Logger      *slog.Logger     // slog.Default if nil
	SegmentSize int64            // bytes of a segment file; DefaultSegmentSize if 0, at least MinSegmentSize
	Now         func() time.Time // time.Now if nil; the clock of expiry

	boot     *[16]byte                   // the machine's boot id; tests pretend another
	allocate func(*os.File, int64) error // gives a file its blocks; tests pretend a full disk
}

// Sizes of a segment file.
const (
	DefaultSegmentSize = 16 << 20
	MinSegmentSize     = 4 * pageSize
)

// Store is the state log of one service in one process, with the tables in front of it.
//
// It is a follower until Activate makes it the writer; Release, or the Activate of another process, makes it a
// follower again, any number of times. All methods may be called from any goroutine.
type Store struct {
	dir  string
	o    Options
	boot [16]byte
	seed atomic.Uint64 // of the hash of keys; that of the log once there is one
	grid grid
	w    writer
	sync syncer
	lock *sharedLock

	follow sync.Mutex // held by whoever moves the cursor: Load, Follow, Activate
	loaded atomic.Bool
	closed atomic.Bool
	cursor cursor
	wake   chan struct{} // the role or the work has changed

	tablesMu sync.RWMutex
	tables   map[string]*rows

	chainMu sync.Mutex
	chain   []*segment   // mapped, in the order of the log
	mapped  sync.RWMutex // held shared while mapped memory is used without the lock of a shard

	moving sync.Mutex // held while rows that were built without a lock are brought into the log

	compacting sync.Mutex
	settling   atomic.Bool // rows of older shapes are to be rewritten
	refused    atomic.Pointer[Refusal]
}

// Registrar is what a table is registered with: a Store, or the set-up of a service.
type Registrar interface{ State() *Store }

// State makes a Store its own Registrar.
func (s *Store) State() *Store { return s }

// Open makes a store over the directory, which is created if need be. Nothing is read before Load.
func Open(dir string, o Options) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state: open: %w", err)
	}
	s := &Store{dir: dir, o: o.defaults(), tables: map[string]*rows{}, wake: make(chan struct{}, 1)}
	s.w.half = make(chan struct{}, 1)
	s.w.published.L = &s.w.mu
	s.sync.cond.L = &s.sync.mu
	if err := s.readBoot(); err != nil {
		return nil, err
	}
	lock, err := openLock(dir)
	if err != nil {
		return nil, err
	}
	s.lock = lock
	return s, nil
}

func (o Options) defaults() Options {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = DefaultSegmentSize
	}
	o.SegmentSize = max(o.SegmentSize, MinSegmentSize) &^ (pageSize - 1)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.allocate == nil {
		o.allocate = allocate
	}
	return o
}

// readBoot learns which start of the machine this is: segments of another one may have lost what was not synced.
func (s *Store) readBoot() error {
	if s.o.boot != nil {
		s.boot = *s.o.boot
		return nil
	}
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return fmt.Errorf("state: open: %w", err)
	}
	digits := strings.ReplaceAll(strings.TrimSpace(string(text)), "-", "")
	if n, err := hex.Decode(s.boot[:], []byte(digits)); err != nil || n != len(s.boot) {
		return fmt.Errorf("state: open: boot id %q is not understood", digits)
	}
	return nil
}

// now is the clock of expiry in ms since 1970.
func (s *Store) now() uint64 { return uint64(s.o.Now().UnixMilli()) }

// Load reads the log to its end, after all tables were made. The store is a follower from then on. A log that is
// being written by another process is read to where it is. Load returns the number of rows; the error is a
// [CorruptError] if the log is damaged, a [NewerError] if a row is there in a newer shape only.
func (s *Store) Load(ctx context.Context) (uint64, error) {
	s.follow.Lock()
	defer s.follow.Unlock()
	if s.closed.Load() {
		return 0, ErrClosed
	}
	if err := s.lock.share(ctx); err != nil {
		return 0, err
	}
	if err := s.readAll(ctx); err != nil {
		return 0, err
	}
	if err := s.nothingBeyond(); err != nil {
		return 0, err
	}
	if err := s.readable(); err != nil {
		return 0, err
	}
	s.loaded.Store(true)
	return s.count(), nil
}

// readable returns an error if a row is there in a newer shape only.
func (s *Store) readable() error {
	for _, t := range s.all() {
		if err := t.readable(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) count() (n uint64) {
	for _, t := range s.all() {
		n += t.count()
	}
	return n
}

// Writer tells whether this store may write now.
func (s *Store) Writer() bool { return s.w.writing() }

// Tables describes the tables of this program by name.
func (s *Store) Tables() []describe.Table {
	var list []describe.Table
	for _, t := range s.all() {
		if !t.opaque {
			list = append(list, t.describe())
		}
	}
	return list
}

// all returns the tables by name, those that this program does not know among them.
func (s *Store) all() []*rows {
	s.tablesMu.RLock()
	defer s.tablesMu.RUnlock()
	list := make([]*rows, 0, len(s.tables))
	for _, t := range s.tables {
		list = append(list, t)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].name < list[j].name })
	return list
}

// table returns the table of that name. One that this program does not know is carried along as it is.
func (s *Store) table(name []byte) *rows {
	s.tablesMu.RLock()
	t := s.tables[string(name)]
	s.tablesMu.RUnlock()
	if t != nil {
		return t
	}
	s.tablesMu.Lock()
	defer s.tablesMu.Unlock()
	if t = s.tables[string(name)]; t != nil {
		return t
	}
	t = &rows{store: s, name: string(name), opaque: true, version: opaqueVersion}
	s.tables[t.name] = t
	return t
}

// register adds a table of this program.
func (s *Store) register(t *rows) error {
	s.tablesMu.Lock()
	defer s.tablesMu.Unlock()
	if s.loaded.Load() {
		return errors.New("the log was read already; make all tables before")
	}
	if _, twice := s.tables[t.name]; twice {
		return errors.New("there is a table of this name")
	}
	s.tables[t.name] = t
	return nil
}

// signal wakes Follow up.
func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close releases the log and its memory. A writer fences itself. The rows stay in the log; here none can be read any
// more. Follow must have ended.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	err := s.Release()
	s.follow.Lock()
	defer s.follow.Unlock()
	for _, t := range s.all() {
		t.clear()
	}
	return errors.Join(err, s.forget(func(*segment) bool { return true }), s.dropStale(), s.dropSpare(), s.lock.close())
}
