package supervise

import (
	"errors"
	"fmt"
	"time"
)

// What can be wrong with a spec; a *SpecError around it says where.
var (
	ErrDuplicateID         = errors.New("duplicate child id")
	ErrMissingID           = errors.New("missing child id")
	ErrMissingStart        = errors.New("missing start")
	ErrBadStartSpec        = errors.New("simple_one_for_one needs exactly one child spec, the template")
	ErrBadCombination      = errors.New("bad combination")
	ErrInvalidStrategy     = errors.New("invalid strategy")
	ErrInvalidIntensity    = errors.New("invalid intensity")
	ErrInvalidPeriod       = errors.New("invalid period")
	ErrInvalidAutoShutdown = errors.New("invalid auto_shutdown")
	ErrInvalidRestart      = errors.New("invalid restart type")
	ErrInvalidShutdown     = errors.New("invalid shutdown")
	ErrInvalidType         = errors.New("invalid child type")
	ErrInvalidState        = errors.New("invalid child state")
	ErrCycle               = errors.New("a supervisor is its own descendant")
)

// What a call to a supervisor can be refused for.
var (
	ErrNotFound        = errors.New("supervise: not_found: no such child")
	ErrRunning         = errors.New("supervise: running: the child has not been terminated")
	ErrRestarting      = errors.New("supervise: restarting: the child is being tried again")
	ErrAlreadyStarted  = errors.New("supervise: already_started: a child with this id runs")
	ErrAlreadyPresent  = errors.New("supervise: already_present: a child with this id is known, RestartChild starts it")
	ErrSimpleOneForOne = errors.New("supervise: simple_one_for_one: not with this strategy")
	ErrNotDynamic      = errors.New("supervise: only simple_one_for_one makes children from a template")
	ErrNoProc          = errors.New("supervise: noproc: the supervisor has ended")
	ErrRunTwice        = errors.New("supervise: a supervisor runs once, make a new one")
)

// SpecError is a fault in a spec, found before anything was started.
type SpecError struct {
	Where string // names from the top to the child, with slashes; may be empty
	Hint  string // what was found, or what to do; may be empty
	Err   error
}

func (e *SpecError) Error() string {
	text := "supervise: "
	if e.Where != "" {
		text += e.Where + ": "
	}
	text += e.Err.Error()
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

func (e *SpecError) Unwrap() error { return e.Err }

// StartError is a child that did not start: at boot, in StartChild or in RestartChild.
type StartError struct {
	Supervisor, ID string
	Err            error
}

func (e *StartError) Error() string {
	return fmt.Sprintf("supervise: %s: failed to start child %s: %v", e.Supervisor, e.ID, e.Err)
}

func (e *StartError) Unwrap() error { return e.Err }

// IntensityError says why a supervisor gave up.
type IntensityError struct {
	Supervisor, ID string // ID is the child that needed one restart too many
	Intensity      int
	Period         time.Duration
	Reason         error // what ended the child, or failed its last start
}

func (e *IntensityError) Error() string {
	return fmt.Sprintf("reached_max_restart_intensity: %s: child %s: more than %d restarts in %s, the last after: %s",
		e.Supervisor, e.ID, e.Intensity, e.Period, FormatReason(e.Reason))
}

func (e *IntensityError) Unwrap() error { return e.Reason }

// SignificantError says which child's end shut a supervisor down.
type SignificantError struct {
	Supervisor, ID string
	AutoShutdown   AutoShutdown
}

func (e *SignificantError) Error() string {
	return fmt.Sprintf("auto_shutdown %s: %s: child %s has ended", e.AutoShutdown, e.Supervisor, e.ID)
}
