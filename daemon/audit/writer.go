package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// writer is the one goroutine that touches the file.
type writer struct {
	*Log
	journal Journal
	failing bool
	missing []control.Event // of the journal, from before Open
	looked  bool            // for them
}

// write puts everything that waits on disk. If the disk refuses, again fires when it is to be tried again.
func (w *writer) write() (again <-chan time.Time) {
	for {
		more, err := w.batch()
		switch {
		case err != nil:
			if !w.failing {
				w.log.Error("the audit log cannot be written; it is tried again", "path", w.file.path, "error", err)
			}
			w.failing = true
			return time.After(retry)
		case w.failing:
			w.log.Info("the audit log is written again", "path", w.file.path)
			w.failing = false
		}
		if !more {
			return nil
		}
	}
}

// batch writes some lines, and says whether there are more.
func (w *writer) batch() (more bool, err error) {
	journaled, own, lost := w.pending()
	lines := merge(append(w.gap(journaled), journaled...), own)
	if lost > 0 {
		lines = append(lines, control.Event{
			Time: time.Now().UTC(), Kind: Lost, Text: fmt.Sprintf("%d lines were lost: the disk did not take them", lost),
		})
	}
	if len(lines) == 0 {
		return false, nil
	}
	text, err := encode(lines)
	if err != nil {
		return false, err
	}
	if err := w.file.append(text); err != nil {
		return false, err
	}
	w.written(journaled, own, lost)
	return true, nil
}

// pending is what is to be written next.
func (w *writer) pending() (journaled, own []control.Event, lost uint64) {
	if !w.looked {
		w.missing, w.looked = w.file.missing(w.journal.Since(0)), true
	}
	if journaled = w.missing; len(journaled) == 0 {
		journaled = w.journal.Since(w.file.seq)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	own = append(own, w.queue...)
	return journaled[:min(len(journaled), maxBatch)], own, w.lost
}

// gap is a line for records that the journal has dropped and that no file here has: they were never written, or somebody has taken the
// files away. The base that stands for them has the number of the last one.
func (w *writer) gap(journaled []control.Event) []control.Event {
	from := w.file.seq + 1
	if len(journaled) == 0 || journaled[0].Seq <= from {
		return nil
	}
	return []control.Event{{
		Time: journaled[0].Time, Kind: Lost,
		Text: fmt.Sprintf("records %d to %d have no line: the journal has dropped them, and no file of the audit log has them", from, journaled[0].Seq),
	}}
}

// written notes what is on disk now. The queue may have lost some of it meanwhile.
func (w *writer) written(journaled, own []control.Event, lost uint64) {
	if n := len(journaled); n > 0 {
		w.file.seq = max(w.file.seq, journaled[n-1].Seq)
		w.missing = w.missing[min(n, len(w.missing)):]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	also := w.lost - lost // dropped while they were written: they are on disk, and not lost
	kept := max(len(own)-int(also), 0)
	w.queue = w.queue[min(kept, len(w.queue)):]
	w.lost = also - min(also, uint64(len(own)))
}

// encode makes one line of each event.
func encode(list []control.Event) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, ev := range list {
		if err := e.Encode(ev); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}
