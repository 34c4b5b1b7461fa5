package otp

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/sdk/state"
)

// ledger is what a hosted node has in the state log. Names of tables are part of the format.
type ledger struct {
	version string // of the service
	log     *slog.Logger
	store   *state.Store
	wards   []*ward
	byKind  map[*kind]*ward
	books   *state.Table[book]
	bags    [2]*state.Table[baggage] // of those who wait to be called, and of those who have something to do by themselves
	names   *state.Table[PID]
	answers *state.Table[answer]

	answering sync.Mutex
}

// ward is a behaviour of the node.
type ward struct {
	k        *kind
	rows     states
	messages map[string]message
}

// states are the states of one behaviour, by PID.
type states interface {
	put(key string, state any) error
	get(key string) (state any, ok bool, err error)
	remove(key string) error
	scan(cursor uint64) (keys []string, next uint64)
	count() int
}

type statesOf[S any] struct{ t *state.Table[S] }

func (s statesOf[S]) put(key string, v any) error { return s.t.Put(key, *v.(*S)) }
func (s statesOf[S]) count() int                  { return s.t.Len() }

func (s statesOf[S]) get(key string) (any, bool, error) {
	v, ok, err := s.t.Lookup(key)
	return &v, ok, err
}

func (s statesOf[S]) remove(key string) error {
	_, err := s.t.Delete(key)
	return err
}

func (s statesOf[S]) scan(cursor uint64) ([]string, uint64) { return s.t.Scan(cursor, scanned) }

// scanned is how many keys are looked at in one go.
const scanned = 256

// bag is the baggage of a process.
func (l *ledger) bag(key string) (bag baggage, ok bool, err error) {
	for _, t := range l.bags {
		if bag, ok, err = t.Lookup(key); ok {
			break
		}
	}
	return bag, ok, err
}

func (l *ledger) putBag(key string, bag baggage) error {
	at := 0
	if bag.busy() {
		at = 1
	}
	if err := l.bags[at].Put(key, bag); err != nil {
		return err
	}
	_, err := l.bags[1-at].Delete(key)
	return err
}

func (l *ledger) dropBag(key string) error {
	_, err := l.bags[0].Delete(key)
	_, berr := l.bags[1].Delete(key)
	return errors.Join(err, berr)
}

// AnyBehaviour is a *Behaviour of any state.
type AnyBehaviour interface {
	declare(s *state.Store) (*ward, error)
}

func (b *Behaviour[S]) declare(s *state.Store) (*ward, error) {
	k := b.seal()
	if k.name == "" {
		return nil, errors.New("otp: a behaviour without a name cannot be hosted")
	}
	names, err := k.named()
	if err != nil {
		return nil, fmt.Errorf("otp: behaviour %s: %w", k.name, err)
	}
	schema := b.State
	schema.Name = k.name
	return &ward{k, statesOf[S]{state.NewTable(s, "process/"+k.name, schema)}, names}, nil
}

func newLedger(s *state.Store, version string, log *slog.Logger, list []AnyBehaviour) (*ledger, error) {
	l := &ledger{version: version, log: log, store: s, byKind: map[*kind]*ward{}}
	seen := map[string]bool{}
	for _, b := range list {
		w, err := b.declare(s)
		if err != nil {
			return nil, err
		}
		if seen[w.k.name] {
			return nil, fmt.Errorf("otp: there are two behaviours called %s", w.k.name)
		}
		seen[w.k.name] = true
		l.wards, l.byKind[w.k] = append(l.wards, w), w
	}
	l.books = state.NewTable(s, "processes/node", state.Schema[book]{Name: "otp.node", Check: l.checkBook})
	l.bags[0] = state.NewTable(s, "processes/idle", state.Schema[baggage]{Name: "otp.process"})
	l.bags[1] = state.NewTable(s, "processes/busy", state.Schema[baggage]{Name: "otp.process"})
	l.names = state.NewTable(s, "processes/names", state.Schema[PID]{Name: "otp.name"})
	l.answers = state.NewTable(s, "processes/answers", state.Schema[answer]{Name: "otp.answer"})
	return l, nil
}

// book is the one row about the node itself.
type book struct {
	Handover uint64   `cbor:"handover,omitempty"` // of the version that froze the processes; 0 while they run
	Lineage  uint64   `cbor:"lineage"`            // of all nodes on this log
	Version  string   `cbor:"version"`            // of the service that wrote it
	Now      int64    `cbor:"now"`                // the node's clock
	Next     uint32   `cbor:"next"`               // places that were ever taken
	Top      uint32   `cbor:"top"`                // the highest generation of a place
	Refs     uint64   `cbor:"refs"`
	Live     int64    `cbor:"live"`
	Mail     []PID    `cbor:"mail,omitempty"` // those who have some
	Messages shapesOf `cbor:"messages"`
}

// shapesOf are the shapes of messages, by behaviour and name.
type shapesOf map[string]map[string]string

const bookKey = "node"

// checkBook is asked in the rehearsal, about what the version that serves has written: mail of its types may wait for
// this one. What a newer version has beyond is Unknown here.
func (l *ledger) checkBook(_ string, b book) error {
	own := l.shapes()
	for behaviour, list := range b.Messages {
		if own[behaviour] == nil {
			continue // the table of its states says it better
		}
		for name, shape := range list {
			switch is, ok := own[behaviour][name]; {
			case !ok && newer(b.Version, l.version):
			case !ok:
				return fmt.Errorf("behaviour %s: the message %s of %s may wait in a mailbox and is not known here: keep its handler", behaviour, name, b.Version)
			case is != shape:
				return fmt.Errorf("behaviour %s: the message %s is %s in %s and %s here: give the new one another name", behaviour, name, shape, b.Version, is)
			}
		}
	}
	return nil
}

func newer(a, b string) bool {
	x, err := semver.NewVersion(a)
	y, yerr := semver.NewVersion(b)
	return err == nil && yerr == nil && x.GreaterThan(y)
}

func (l *ledger) shapes() shapesOf {
	all := shapesOf{}
	for _, w := range l.wards {
		all[w.k.name] = map[string]string{}
		for name, m := range w.messages {
			all[w.k.name][name] = state.Shape(m.typ)
		}
	}
	return all
}

// key is the PID in the log, as people read it.
func (p PID) key() string {
	b := strconv.AppendUint(make([]byte, 0, 20), uint64(p.slot()), 10)
	b = append(b, '.')
	return string(strconv.AppendUint(b, uint64(p.generation()), 10))
}

func pidOf(key string) (PID, bool) {
	slot, generation, ok := strings.Cut(key, ".")
	s, err := strconv.ParseUint(slot, 10, 32)
	g, gerr := strconv.ParseUint(generation, 10, 32)
	return PID(g<<32 | s), ok && err == nil && gerr == nil
}
