package keel

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/theseusd/theseus/sdk/fault"
)

// Program is the binary of a daemon.
type Program struct {
	Path    string `json:"path"`
	Digest  string `json:"digest"`
	Version string `json:"version"`
}

// Daemons is what a keel knows of its daemons.
type Daemons struct {
	Charge   Program     `json:"charge"`   // zero: the keel's own program
	Previous Program     `json:"previous"` // zero if there is none to go back to
	Since    time.Time   `json:"since"`    // the daemon in charge was started
	Last     Replacement `json:"last"`     // ID 0 if there was none
}

// Replacement is how far one is.
type Replacement struct {
	ID    uint64  `json:"id"`
	By    Program `json:"by"`
	State Stage   `json:"state"`
	Error string  `json:"error,omitempty"` // why it failed, if it did
}

// Stage of a replacement.
type Stage string

// The stages. Until HandingOver is over the old daemon is in charge, or the old program is started again.
const (
	Preparing   Stage = "preparing"    // the new daemon looks at everything and changes nothing
	HandingOver Stage = "handing_over" // it is prepared, the old one lets go
	TakingOver  Stage = "taking_over"  // the old one is dead, the new one is not ready yet
	Replaced    Stage = "replaced"
	Failed      Stage = "failed" // the old program is in charge
)

// Beside and Stop are the arguments of a daemon that is started beside another one, and of one that only stops what
// runs.
const (
	Beside = "--beside"
	Stop   = "--stop"
)

// trialDeaths is how many deaths in its trial a new daemon may not have.
const trialDeaths = 3

// replacement is one that is not over. The child is the new daemon until it is in charge, then nil.
type replacement struct {
	Replacement
	child    *child
	why      string   // it refused
	asked    message  // of the old daemon
	prepared *message // of the new one; answered when it is to take over
	charge   Program  // what was in charge before
	previous Program
	until    time.Time // of the trial
	deaths   int       // in it
}

// replace starts a new daemon beside the one that asks. It is answered when that one is prepared, or cannot be.
func (k *keel) replace(m message) {
	switch {
	case m.req.By == nil || m.req.From == nil:
		k.reply(m, reply{Error: "replace by what?"}, -1)
		return
	case k.stopping || !k.ready:
		k.reply(m, reply{Error: "the instance is on its way up or down"}, -1)
		return
	case k.replacing != nil:
		k.reply(m, reply{Error: "another replacement is under way"}, -1)
		return
	}
	k.replacements++
	next := Replacement{ID: k.replacements, By: *m.req.By, State: Preparing}
	k.replacing = &replacement{Replacement: next, asked: m, charge: *m.req.From, previous: k.previous}
	c, err := k.spawn(func() (string, error) { return m.req.By.Path, nil }, Beside)
	if err != nil {
		k.give("it could not be started: " + err.Error())
		return
	}
	k.log.Info("a new daemon is started beside this one", "version", m.req.By.Version, "pid", c.pid)
	k.replacing.child = c
	k.limit = time.After(k.cfg.Prepare)
	go k.receive(c)
	fault.At(fault.KeelReplacing)
}

// answerNew acts on a request of a daemon that is not in charge yet. It gets nothing.
func (k *keel) answerNew(m message) {
	switch m.req.Op {
	case opBeat:
	case opRefused:
		k.replacing.why = m.req.Error
	case opPrepared:
		k.replacing.prepared, k.replacing.State = &m, HandingOver
		k.limit = time.After(k.cfg.LetGo)
		k.reply(k.replacing.asked, reply{}, -1)
	default:
		k.reply(m, reply{Error: "this daemon is not in charge yet"}, -1)
	}
}

// overdue ends what the replacement has waited for in vain.
func (k *keel) overdue() {
	k.limit = nil
	switch {
	case k.replacing == nil:
	case k.replacing.State == Preparing:
		k.give(fmt.Sprintf("it was not prepared within %s", k.cfg.Prepare))
	case k.child != nil:
		k.log.Warn("killing a daemon that takes too long", "pid", k.child.pid, "stage", k.replacing.State)
		if k.replacing.State == TakingOver {
			k.replacing.why = fmt.Sprintf("it was not ready within %s", k.cfg.TakeOver)
		}
		k.child.signal(syscall.SIGKILL)
	}
}

// give ends a replacement whose new daemon is not in charge. If the old one was told to end already, its program is
// started again.
func (k *keel) give(why string) {
	r := k.replacing
	if r.why != "" {
		why = r.why
	}
	if r.child != nil {
		r.child.signal(syscall.SIGKILL)
		r.child.conn.Close()
	}
	pending := r.State == Preparing
	k.fail(r, why)
	if pending && r.asked.from == k.child {
		k.reply(r.asked, reply{Error: why}, -1)
	}
}

func (k *keel) fail(r *replacement, why string) {
	r.State, r.Error = Failed, why
	k.last = r.Replacement
	if k.replacing == r {
		k.replacing, k.limit = nil, nil
	}
	if k.trial == r {
		k.trial = nil
	}
	k.log.Error("the new daemon is not in charge", "version", r.By.Version, "because", why)
}

// forget gives a replacement up that has not been decided.
func (k *keel) forget(why string) {
	if k.replacing == nil || k.replacing.child == nil {
		return
	}
	gone := k.replacing.State == HandingOver
	k.give(why)
	k.stopLate = gone
}

// letGo is true if the daemon that has just ended was told to let its services go on.
func (k *keel) letGo() bool { return k.stopLate }

// diedReplaced decides what a replacement makes of the death of the daemon in charge. It is false if nothing: then the
// death is one like any other.
func (k *keel) diedReplaced(how string) bool {
	r := k.replacing
	switch {
	case r == nil:
		return k.diedOnTrial(how)
	case r.State == Preparing:
		k.give("the daemon in charge ended meanwhile: " + how)
		return k.diedOnTrial(how)
	case r.State == HandingOver:
		k.takeOver()
	default:
		if r.why == "" {
			r.why = "it ended before it was ready: " + how
		}
		k.goBack(r, r.why)
	}
	return true
}

// diedOnTrial counts deaths, and is true if there have been too many.
func (k *keel) diedOnTrial(how string) bool {
	r := k.trial
	if r != nil && time.Now().After(r.until) {
		k.trial, r = nil, nil
	}
	if r == nil {
		return false
	}
	if r.deaths++; r.deaths < trialDeaths {
		return false
	}
	k.goBack(r, fmt.Sprintf("it ended %d times within %s: %s", trialDeaths, k.cfg.Trial, how))
	return true
}

// takeOver puts the new daemon in charge; the old one is dead.
func (k *keel) takeOver() {
	r := k.replacing
	k.child, r.child = r.child, nil
	k.child.silent = 0
	k.appoint(r)
	r.State, k.trial = TakingOver, nil
	k.limit = time.After(k.cfg.TakeOver)
	if err := remember(k.cfg.Run, k.child.pid); err != nil {
		k.log.Warn("the daemon's record could not be written", "error", err)
	}
	fault.At(fault.KeelHandover)
	k.reply(*r.prepared, reply{}, -1)
}

// appoint puts the new program in charge. One that replaces itself would be no way back.
func (k *keel) appoint(r *replacement) {
	if r.By.Digest == "" || r.By.Digest != r.charge.Digest {
		k.previous = r.charge
	}
	k.charge = r.By
}

// replaced begins the trial of a daemon that is ready.
func (k *keel) replaced() {
	r := k.replacing
	if r == nil || r.State != TakingOver {
		return
	}
	r.State, r.until = Replaced, time.Now().Add(k.cfg.Trial)
	k.last, k.trial = r.Replacement, r
	k.replacing, k.limit = nil, nil
	k.log.Info("the daemon is replaced", "version", k.charge.Version, "pid", k.child.pid)
}

// goBack starts the program that was in charge before.
func (k *keel) goBack(r *replacement, why string) {
	k.charge, k.previous = r.charge, r.previous
	if _, err := os.Stat(k.previous.Path); err != nil {
		k.previous = Program{} // the daemon on trial has removed it
	}
	k.fail(r, why)
	k.start()
}

func (k *keel) daemons() *Daemons {
	d := &Daemons{Charge: k.charge, Previous: k.previous, Since: k.child.started.UTC(), Last: k.last}
	if k.replacing != nil {
		d.Last = k.replacing.Replacement
	}
	return d
}

// stopByAnother starts a daemon that does nothing but stop what runs, if anything does.
func (k *keel) stopByAnother() (end bool, err error) {
	if k.stopper || !reapAll() {
		return true, k.sweep()
	}
	k.stopper, k.stopLate = true, false
	c, err := k.spawn(k.program, Stop)
	if err != nil {
		k.log.Error("no daemon could be started to stop the services in order", "error", err)
		return true, k.sweep()
	}
	k.log.Info("no daemon runs; one is started to stop the services in order", "pid", c.pid)
	k.child = c
	if err := remember(k.cfg.Run, c.pid); err != nil {
		k.log.Warn("the daemon's record could not be written", "error", err)
	}
	go k.receive(c)
	return false, nil
}
