package daemon

import (
	"fmt"
	"os"

	"github.com/theseusd/theseus/daemon/audit"
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
