package otp

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk/state"
)

// address is a call that waits, in whichever process of the service. Answers to another process go through the log.
type address struct {
	Lineage uint64 `cbor:"lineage"`
	Node    uint64 `cbor:"node"`
	Pending uint64 `cbor:"pending"`
	Ticket  uint64 `cbor:"ticket"`
}

// foreign is an answer that came through the log, in the encoding of package state.
type foreign []byte

// answer is one in a row.
type answer struct {
	Value []byte `cbor:"value,omitempty"`
	Err   *told  `cbor:"err,omitempty"`
}

// answerKept is how long an answer lies in the log for a caller in another process; no call there waits longer for it
// than its version is kept.
const answerKept = time.Minute

// lineages are the hosted nodes that are awake, one for each log: an address that was decoded knows no node.
var lineages sync.Map // uint64 to *Node

// address is where the answer goes; nil if nobody waits any more.
func (r reply) address() *address {
	switch {
	case r.p == nil || !r.open():
		return nil
	case r.p.abroad != nil:
		return r.p.abroad
	}
	n := r.p.n
	n.abroad.mu.Lock()
	defer n.abroad.mu.Unlock()
	n.abroad.add(r)
	return &address{n.lineage.Load(), n.id, r.p.id, r.ticket}
}

// reply is the call of an address again: the one of this process itself, if it waits here.
func (a *address) reply() reply {
	if a == nil {
		return reply{}
	}
	if v, ok := lineages.Load(a.Lineage); ok && v.(*Node).id == a.Node {
		if r := v.(*Node).abroad.find(*a); r.p != nil {
			return r
		}
	}
	return reply{p: &pending{abroad: a}}
}

// send gives the answer to a call that waits in another process. Only the first one counts.
func (a *address) send(v any, err error) {
	known, ok := lineages.Load(a.Lineage)
	if !ok {
		return // this version is not awake: the one that is has the call too
	}
	n := known.(*Node)
	if n.id == a.Node {
		n.abroad.find(*a).answer(v, err)
		return
	}
	var row answer
	if row.Err = tell(err); err == nil {
		var eerr error
		if row.Value, eerr = state.Encode(v); eerr != nil {
			row.Err = tell(eerr)
		}
	}
	if err := n.ledger.answer(a.key(), row); err != nil {
		n.ledger.log.Error("an answer for a caller in another version is lost", "error", err)
	}
}

func (a address) key() string { return fmt.Sprintf("%x.%x.%x", a.Node, a.Pending, a.Ticket) }

// addressOf is the address of a key, but for its lineage.
func addressOf(key string) (a address, ok bool) {
	parts := strings.Split(key, ".")
	if len(parts) != 3 {
		return a, false
	}
	for i, to := range []*uint64{&a.Node, &a.Pending, &a.Ticket} {
		v, err := strconv.ParseUint(parts[i], 16, 64)
		if err != nil {
			return a, false
		}
		*to = v
	}
	return a, true
}

// answer writes an answer, unless there is one.
func (l *ledger) answer(key string, row answer) error {
	l.answering.Lock()
	defer l.answering.Unlock()
	if _, there := l.answers.Get(key); there {
		return nil
	}
	return l.answers.PutTTL(key, row, answerKept)
}

// waiting are the calls of this process whose address went into the log.
type waiting struct {
	mu    sync.Mutex
	calls map[uint64]reply // by the id of the pending
	kept  int              // of those after the last time that the closed ones were left out
}

// add is for those who hold the lock.
func (w *waiting) add(r reply) {
	if w.calls == nil {
		w.calls = map[uint64]reply{}
	}
	w.calls[r.p.id] = r
	if len(w.calls) > 2*w.kept+64 {
		w.prune()
	}
}

func (w *waiting) prune() {
	for id, r := range w.calls {
		if !r.open() {
			delete(w.calls, id)
		}
	}
	w.kept = len(w.calls)
}

func (w *waiting) find(a address) reply {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.calls[a.Pending]; r.p != nil && r.ticket == a.Ticket {
		return r
	}
	return reply{}
}

// open is how many calls still wait.
func (w *waiting) open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prune()
	return len(w.calls)
}

// giveUp gives all that wait an error: nobody will answer them.
func (w *waiting) giveUp(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.calls {
		r.end(err)
	}
	w.prune()
}

// How often a node whose processes are in another version looks whether the number of answers has changed, and how often
// at the answers themselves: one may have come as another one was dropped.
const (
	answerEvery = time.Millisecond
	answerLook  = 64 // times answerEvery
)

// collect gives callers of this process what the version that is awake has answered, until none waits, or this node is
// awake again.
func (n *Node) collect() {
	tick := time.NewTicker(answerEvery)
	defer tick.Stop()
	for i, before := 0, -1; n.phase.now.Load() == asleep && n.Err() == nil; i++ {
		if now := n.ledger.answers.Len(); now != before || i%answerLook == 0 {
			before = now
			n.collectOnce()
			if n.abroad.open() == 0 {
				return
			}
		}
		select {
		case <-tick.C:
		case <-n.Done():
		}
	}
}

// collectOnce looks through the answers, which are few, and not through those who wait, who may be many.
func (n *Node) collectOnce() {
	for cursor, more := uint64(0), n.ledger.answers.Len() > 0; more; more = cursor != 0 {
		var keys []string
		keys, cursor = n.ledger.answers.Scan(cursor, scanned)
		for _, key := range keys {
			a, ok := addressOf(key)
			if !ok || a.Node != n.id {
				continue
			}
			if r := n.abroad.find(a); r.open() {
				if row, ok := n.ledger.answers.Get(key); ok {
					r.answer(foreign(row.Value), row.Err.err())
				}
			}
		}
	}
}

// MarshalCBOR makes a From one that travels.
func (f From[R]) MarshalCBOR() ([]byte, error) { return state.Encode(f.to.address()) }

// UnmarshalCBOR makes it one that answers the same call.
func (f *From[R]) UnmarshalCBOR(b []byte) error {
	a, err := state.Decode[*address](b)
	f.to = a.reply()
	return err
}
