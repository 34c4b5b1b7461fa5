package daemon

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/theseusd/theseus/daemon/audit"
	"github.com/theseusd/theseus/daemon/keel"
	"github.com/theseusd/theseus/sdk/control"
)

// noteStart writes down that a daemon has started, and what became of the one before it.
func (d *Daemon) noteStart() {
	d.audit.Note(control.Event{
		Kind: audit.DaemonStarted, Text: "theseusd " + Version, Reason: d.before(d.audit.Own()), Detail: d.processes(),
	})
}

func (d *Daemon) processes() map[string]any {
	return map[string]any{"pid": os.Getpid(), "keel": d.keel.PID()}
}

// before says how the daemon before this one ended, if that was not in order.
func (d *Daemon) before(past []control.Event) string {
	for i := len(past) - 1; i >= 0; i-- {
		switch e := past[i]; {
		case e.Kind == audit.DaemonStopped:
			return ""
		case e.Kind != audit.DaemonStarted:
		case fmt.Sprint(e.Detail["keel"]) == fmt.Sprint(d.keel.PID()):
			return fmt.Sprintf("daemon %v ended without a stop; services went on", e.Detail["pid"])
		default:
			return fmt.Sprintf("keel %v ended without a stop", e.Detail["keel"])
		}
	}
	return ""
}

// noteReplaced writes down what became of a replacement that this daemon, or one before it, has begun. It is called once
// the keel knows that this one is ready.
func (d *Daemon) noteReplaced(ctx context.Context) {
	begun, ok := lastReplacement(d.audit.Own())
	if !ok || begun.Kind == audit.DaemonNotReplaced {
		return
	}
	known, err := d.keel.Daemons(ctx)
	if err != nil {
		d.log.Warn("nothing is known of the replacement of the daemon", "error", err)
		return
	}
	if ev, news := ending(begun, known.Last); news {
		d.audit.Note(ev)
	}
}

// lastReplacement is the newest event about a replacement.
func lastReplacement(past []control.Event) (last control.Event, ok bool) {
	for i := len(past) - 1; i >= 0; i-- {
		switch past[i].Kind {
		case audit.DaemonReplacing, audit.DaemonReplaced, audit.DaemonNotReplaced:
			return past[i], true
		}
	}
	return last, false
}

// ending is how a replacement has gone on since its last event; news is false if it has not.
func ending(begun control.Event, now keel.Replacement) (ev control.Event, news bool) {
	ev = control.Event{From: begun.From, To: begun.To, By: begun.By, Text: begun.Text, Kind: audit.DaemonNotReplaced}
	switch {
	case now.State == keel.Failed:
		ev.Reason = now.Error
	case begun.Kind == audit.DaemonReplaced:
		return ev, false
	case now.State == keel.Replaced:
		ev.Kind, ev.Took = audit.DaemonReplaced, time.Since(begun.Time).Seconds()
	default:
		ev.Reason = "the keel ended in the middle of it"
	}
	return ev, true
}
