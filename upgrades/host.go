package upgrades

import (
	"context"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/upgrades/release"
)

// Host runs versions of services as processes. The daemon implements it; tests have a fake in virtual time.
type Host interface {
	// Listen opens what the package listens on with its settings, beside what is open. A socket that cannot be had is a
	// *ListenError. What no process and not the version that serves needs is closed by Give, and when a process ends.
	Listen(ctx context.Context, p release.Package) error
	// Start runs the package as a standby of its service and returns when it has read the state log to its end. A
	// standby that will not be activated may be started, and stopped, without Take.
	Start(ctx context.Context, p release.Package) (Instance, error)
	// Instances lists the live processes of a service, re-attached ones included.
	Instances(service string) []Instance
	// Take suspends the supervision of a service and returns the instance that serves, nil if none does.
	// From now on nobody but the caller starts, stops or activates an instance of it.
	Take(service string) Instance
	// Give ends Take: in serves from now on and is restarted when it dies; if it is dead already it is at once. Such
	// a dead one may be of another make than the host's own (see Gone): only its Package counts. With in nil the
	// service is no longer wanted: nobody serves and nothing is restarted.
	Give(service string, in Instance)
	// Supervise says who restarts whom from now on, and in which order services start: what stops all stops them the other
	// way round. It does not wait, and starts and stops nothing.
	Supervise(s release.Supervision, order []string)
}

// Instance is one process of one version. Calls may be repeated: what is already so succeeds. A dead process answers
// every call with an error that wraps ErrGone.
type Instance interface {
	ID() string // stable over a restart of the daemon
	Package() release.Package
	Describe() describe.Service
	Done() <-chan struct{} // closed when the process is gone

	Status(ctx context.Context) (Status, error)
	Health(ctx context.Context) error // nil, or why the service calls itself unhealthy
	// Rehearse takes every row up to this version's schemas and back; with down, which gives older versions by table, it
	// takes them down to these and back. The error of a row is a *RowError.
	Rehearse(ctx context.Context, down map[string]int32, progress func(Progress)) (Rehearsal, error)
	Pair(ctx context.Context, with Instance) error // the receiver serves, with is the standby
	Shadow(ctx context.Context, versions map[string]int32, snapshot bool, progress func(Progress)) error
	// Release lets go of the connections, which the paired process gets, and of the log. After ErrBusy and ErrUnpaired
	// nothing has changed, and the process serves on. With cut it lets go although nobody takes the connections.
	Release(ctx context.Context, budget time.Duration, cut bool) (Released, error)
	Activate(ctx context.Context, shadows map[string]int32, paired bool) (Activated, error)
	Settle(ctx context.Context) error
	Stop(ctx context.Context) error // in order, then by force when ctx ends
}

// Role is what a process does now.
type Role string

// The roles of a process.
const (
	Starting Role = "starting"
	Standby  Role = "standby"
	Active   Role = "active"
)

// Status is a moment in the life of a process.
type Status struct {
	Role        Role              `json:"role"`
	Epoch       uint64            `json:"epoch"`
	Lag         uint64            `json:"lag_bytes"`
	Rows        map[string]uint64 `json:"rows"`
	LogBytes    uint64            `json:"log_bytes"`
	Connections uint64            `json:"connections"`
	Ahead       uint64            `json:"ahead"`
	Traffic     control.Traffic   `json:"traffic"`       // of the last minute
	RSS         uint64            `json:"rss_bytes"`     // resident memory
	Private     uint64            `json:"private_bytes"` // of that, what no other process can share
	Unready     string            `json:"-"`             // why it could not write for long if it took over now
	Refused     *RowError         `json:"-"`             // the first write that an older version which may come back cannot hold
}

// Progress of a long step, in rows.
type Progress struct{ Done, Total uint64 }

// Rehearsal is what taking every row up and down again has shown.
type Rehearsal struct {
	Rows, Changed, Lossy uint64
	Digest               string
}

// Released is how the old version let go.
type Released struct {
	Drain       time.Duration
	Connections uint64
}

// Activated is how the new version took over.
type Activated struct {
	Epoch, Delta, Connections uint64
	Took                      time.Duration
}
