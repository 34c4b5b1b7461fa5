package supervise

import (
	"context"
	"log/slog"
	"time"
)

// EventKind is what happened. The names of what OTP reports too are OTP's.
type EventKind uint8

const (
	// ChildStarted is a child that is ready, for the first time or again.
	ChildStarted EventKind = iota
	// ChildTerminated is a child that ended by itself.
	ChildTerminated
	// ChildStartFailed is a child that could not be started at boot, or not again.
	ChildStartFailed
	// ChildStopped is a child that ended as it was told.
	ChildStopped
	// ChildStopFailed is a child that was told to end, and ended with another reason.
	ChildStopFailed
	// ChildOrphaned is a child that could not be killed; OrphanEnded, when it has ended after all.
	ChildOrphaned
	OrphanEnded
	// TooManyRestarts is the supervisor giving up because of the child.
	TooManyRestarts
	// AutoShutdownDue is the supervisor ending because a significant child did.
	AutoShutdownDue
	// SpecsChanged is the success of ChangeSpecs.
	SpecsChanged
	// SupervisorUp is the supervisor with all its children ready; SupervisorDown, when all of them have ended.
	SupervisorUp
	SupervisorDown
)

var eventKinds = []string{
	"progress", "child_terminated", "start_error", "child_stopped", "shutdown_error", "child_orphaned", "orphan_ended",
	"reached_max_restart_intensity", "auto_shutdown", "code_change", "supervisor_up", "supervisor_down",
}

func (k EventKind) String() string { return spell(eventKinds, k) }

// MarshalText spells the kind.
func (k EventKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Event is one thing that happened in a tree of supervisors.
type Event struct {
	At         time.Time
	Supervisor string // its name, below those of its parents
	Kind       EventKind
	ID         string // of the child; empty if it concerns the supervisor itself
	Reason     error
	Restarts   int  // how often the child had been restarted
	Report     bool // OTP would write an error report
}

// emit tells the hooks of this supervisor and of all above.
func (s *Supervisor) emit(e Event) {
	e.Supervisor = s.name
	if e.At.IsZero() {
		e.At = time.Now()
	}
	for at := s; at != nil; at = at.parent {
		if at.hook != nil {
			at.hook(e)
		}
	}
}

// LogTo makes a hook that logs each event, as an error where OTP would report one.
func LogTo(log *slog.Logger) func(Event) {
	return func(e Event) {
		level := slog.LevelInfo
		if e.Report {
			level = slog.LevelError
		}
		log.LogAttrs(context.Background(), level, e.Kind.String(),
			slog.String("supervisor", e.Supervisor), slog.String("child", e.ID),
			slog.String("reason", FormatReason(e.Reason)), slog.Int("restarts", e.Restarts))
	}
}
