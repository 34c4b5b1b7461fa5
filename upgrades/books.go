package upgrades

import (
	"encoding/json"
	"fmt"
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
	defer e.report(rec)
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
		e.owed = append(e.owed, payload)
		e.log.Error("the journal refuses a record; it is kept for later", "kind", rec.Kind, "error", err)
	}
	if err := e.apply(rec); err != nil {
		e.log.Error("a record does not fit", "kind", rec.Kind, "error", err)
	}
	e.report(rec)
	return rec.Event
}

// pay journals what is owed, in order. The caller holds books.
func (e *Engine) pay() error {
	for len(e.owed) > 0 {
		if _, err := e.journal.Append(e.owed[0]); err != nil {
			return fmt.Errorf("write the journal: %w", err)
		}
		e.owed = e.owed[1:]
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
	return json.Marshal(rec)
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
