package upgrades

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/fault"
)

// append journals a record; it holds when append returns nil, and nothing has happened otherwise.
func (e *Engine) append(rec record) (control.Event, error) {
	e.books.Lock()
	defer e.books.Unlock()
	payload, err := e.encode(&rec)
	if err != nil {
		return rec.Event, err
	}
	if err := e.pay(); err != nil {
		return rec.Event, err
	}
	fault.AtOne(fault.RecordBefore, rec.Kind)
	if rec.Seq, err = e.journal.Append(payload); err != nil {
		return rec.Event, fmt.Errorf("write the journal: %w", err)
	}
	fault.AtOne(fault.RecordAfter, rec.Kind)
	defer e.compact()
	defer e.report(rec)
	defer e.wrote()
	return rec.Event, e.apply(rec)
}

// write journals a record as append does, but it is safe against the loss of power only once sync has returned. It is
// quick: nobody serves meanwhile.
func (e *Engine) write(rec record) (ev control.Event, sync func() error, err error) {
	e.books.Lock()
	defer e.books.Unlock()
	payload, err := e.encode(&rec)
	if err != nil {
		return rec.Event, nil, err
	}
	if err := e.pay(); err != nil {
		return rec.Event, nil, err
	}
	fault.AtOne(fault.RecordBefore, rec.Kind)
	if rec.Seq, sync, err = e.journal.Write(payload); err != nil {
		return rec.Event, nil, fmt.Errorf("write the journal: %w", err)
	}
	fault.AtOne(fault.RecordAfter, rec.Kind)
	defer e.wrote()
	return rec.Event, sync, e.apply(rec)
}

// must journals a record that holds even if the journal refuses it, because what it says has no alternative: nothing
// is decided by it that recovery would not find by itself. The debt is paid before the next record.
func (e *Engine) must(rec record) control.Event {
	e.books.Lock()
	defer e.books.Unlock()
	payload, err := e.encode(&rec)
	if err != nil {
		e.log.Error("a record does not fit", "kind", rec.Kind, "error", err)
		return rec.Event
	}
	fault.AtOne(fault.RecordBefore, rec.Kind)
	if err = e.pay(); err == nil {
		rec.Seq, err = e.journal.Append(payload)
	}
	fault.AtOne(fault.RecordAfter, rec.Kind)
	if err != nil {
		e.owed = append(e.owed, debt{payload: payload, kind: rec.Kind})
		e.log.Error("the journal refuses a record; it is kept for later", "kind", rec.Kind, "error", err)
	}
	if err := e.apply(rec); err != nil {
		e.log.Error("a record does not fit", "kind", rec.Kind, "error", err)
	}
	e.report(rec)
	e.wrote()
	e.compact()
	return rec.Event
}

// pay journals what is owed, in order. The caller holds books.
func (e *Engine) pay() error {
	for len(e.owed) > 0 {
		seq, err := e.journal.Append(e.owed[0].payload)
		if err != nil {
			return fmt.Errorf("write the journal: %w", err)
		}
		e.log.Info("the journal has taken a record that it had refused", "kind", e.owed[0].kind)
		e.owed = e.owed[1:]
		e.read(func(r *registry) { r.paid(seq) })
	}
	return nil
}

// encode dates a record that may be the next one. The caller holds books.
func (e *Engine) encode(rec *record) ([]byte, error) {
	if err := e.closed(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.reg.check(rec.Kind); err != nil {
		return nil, err
	}
	rec.Time = time.Now().UTC()
	if u := e.reg.upgrade; u != nil && rec.Upgrade == u.id {
		rec.Took = max(0, rec.Time.Sub(u.last).Seconds()) // the clock may have been set back
	}
	rec.bound()
	return json.Marshal(rec)
}

// debt is a record that holds although the journal does not have it yet.
type debt struct {
	payload []byte
	kind    string
}

// maxText is the longest text of a record, in bytes: what a process says of itself can be of any length, and a record
// that the journal cannot take would end an upgrade.
const maxText = 8 << 10

// bound cuts texts that are too long, and says so in them.
func (rec *record) bound() {
	for _, text := range []*string{&rec.Text, &rec.Reason, &rec.Hint, &rec.By} {
		if n := len(*text) - maxText; n > 0 {
			*text = strings.ToValidUTF8((*text)[:maxText], "") + fmt.Sprintf("... (%s bytes more)", count(uint64(n)))
		}
	}
}

func (e *Engine) apply(rec record) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reg.apply(rec)
}

// report logs a record. Not so in write: nobody serves then, and a log can be slow.
func (e *Engine) report(rec record) {
	var more []any
	for _, kv := range [][2]string{{"service", rec.Service}, {"text", rec.Text}, {"reason", rec.Reason}, {"by", rec.By}} {
		if kv[1] != "" {
			more = append(more, kv[0], kv[1])
		}
	}
	e.log.With("from", rec.From, "to", rec.To).Info(rec.Kind, more...)
}
