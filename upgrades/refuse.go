package upgrades

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/appup"
)

// Codes of the errors that reach people.
const (
	codeNoRelease  = "no_release"
	codeSame       = "same_release"
	codeNoAppup    = "no_appup"
	codeUncovered  = "uncovered"
	codeRequires   = "requires"
	codeBusy       = "busy"
	codeInUse      = "in_use"
	codeStalePlan  = "stale_plan"
	codeBadRequest = "bad_request"
	codeNoReturn   = "irreversible"
	codeNoTrial    = "no_probation"
	codeMemory     = "memory"
	codeRehearsal  = "rehearsal"
	codeAborted    = "aborted"
	codeRolledBack = "rolled_back"
	codeBadPackage = "bad_package"
	codeBadConfig  = "bad_config"
	codeUntrusted  = "untrusted"
	codeInternal   = "internal"
)

// refuse is an error for people: what happened, what is running now, what to do.
func (e *Engine) refuse(code, message, hint string) *control.Error {
	return &control.Error{Code: code, Message: message, Running: e.running(), Hint: hint}
}

// running says which release serves and what it consists of: "v2: cache 1.0.0, visits 2.0.0".
func (e *Engine) running() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := e.reg.find(e.reg.serving)
	if n == nil {
		return ""
	}
	var list []string
	for name, it := range n.set {
		list = append(list, name+" "+it.Version)
	}
	slices.Sort(list)
	return n.name + ": " + strings.Join(list, ", ")
}

// refuseAppup explains why there is no way between two versions.
func (e *Engine) refuseAppup(err error) error {
	var none *appup.NoAppupError
	var open *appup.UncoveredError
	var dropped *appup.DroppedError
	var manifest *appup.ParseError
	switch {
	case errors.As(err, &none):
		return e.refuse(codeNoAppup, none.Error(), none.Hint)
	case errors.As(err, &open):
		return e.refuse(codeUncovered, open.Error(), open.Hint)
	case errors.As(err, &dropped):
		return e.refuse(codeUncovered, dropped.Error(), dropped.Hint)
	case errors.As(err, &manifest):
		return e.refuse(codeBadPackage, manifest.Error(), "correct appup.toml and build the package again")
	default:
		return err
	}
}

// busy says what is under way.
func (e *Engine) busy() error {
	if u := e.InProgress(); u != nil {
		text := fmt.Sprintf("an upgrade from %s to %s is under way: %s", orNothing(u.From), u.To, u.Step)
		hint := "wait for its end, or go back with: reltool rollback"
		if u.Held {
			text, hint = text+", held", "make it permanent with: reltool commit, or go back with: reltool rollback"
		}
		return e.refuse(codeBusy, text, hint)
	}
	return e.refuse(codeBusy, "the last upgrade is at its end: processes that are no longer needed are being stopped",
		"try again in a moment")
}

func orNothing(release string) string {
	if release == "" {
		return "nothing"
	}
	return release
}
