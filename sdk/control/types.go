package control

import "time"

// Status answers GET /v1/status.
type Status struct {
	Dir      string          `json:"dir"`
	Version  string          `json:"version"` // of the daemon
	PID      int             `json:"pid"`
	Keel     int             `json:"keel_pid"`
	Started  time.Time       `json:"started"`
	Release  string          `json:"release"` // "v2"
	State    string          `json:"state"`   // of that release: current (in probation) or permanent
	Upgrade  *Upgrade        `json:"upgrade,omitempty"`
	Services []ServiceStatus `json:"services"`
	Notes    []string        `json:"notes,omitempty"`  // what an operator should know, as that theseus.toml has changed
	Unsafe   *Error          `json:"unsafe,omitempty"` // why nothing is taken, built or replaced now
}

// Upgrade is one that is under way.
type Upgrade struct {
	From  string    `json:"from"`
	To    string    `json:"to"`
	Step  string    `json:"step"`
	Until time.Time `json:"until,omitzero"` // end of the probation
	Held  bool      `json:"held,omitempty"` // the probation has no end by itself: commit or rollback

	Trials []Trial `json:"trials,omitempty"` // in a probation, by service
}

// Trial is a version on probation, beside the one before it.
type Trial struct {
	Service string  `json:"service"`
	Version string  `json:"version"`
	Now     Traffic `json:"now"`
	Before  Traffic `json:"before"`            // the last minute of the version before, right before the switch
	Crashes int     `json:"crashes,omitempty"` // that were made good by a restart
}

// Traffic is what a version has answered in a minute, or in less if it has not served for so long.
type Traffic struct {
	Requests uint64  `json:"requests"`
	Failures uint64  `json:"failures"`    // of them
	P99      float64 `json:"p99_seconds"` // 99 of 100 took no longer
}

// ServiceStatus is one service.
type ServiceStatus struct {
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Command     string            `json:"command"`
	State       string            `json:"state"` // starting, running, restarting, failed
	Reason      string            `json:"reason,omitempty"`
	Again       time.Time         `json:"again,omitzero"` // when one that has failed is started again by itself
	PID         int               `json:"pid,omitempty"`
	Started     time.Time         `json:"started,omitzero"`
	Restarts    int               `json:"restarts"`
	Epoch       uint64            `json:"epoch"`
	Rows        map[string]uint64 `json:"rows,omitempty"`
	LogBytes    uint64            `json:"log_bytes"`
	Connections uint64            `json:"connections"`
	RSS         uint64            `json:"rss_bytes"`
	Listeners   map[string]string `json:"listeners,omitempty"` // name: address
	Standbys    []Process         `json:"standbys,omitempty"`
}

// Process is a further process of a service.
type Process struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	Role    string `json:"role"`
	Lag     uint64 `json:"lag_bytes"`
	RSS     uint64 `json:"rss_bytes"`
}

// Program is the binary of a daemon.
type Program struct {
	Version string `json:"version"`
	Path    string `json:"path"`
	Digest  string `json:"digest"` // SHA-256
}

// Daemon answers GET /v1/daemon.
type Daemon struct {
	Program
	PID      int          `json:"pid"`
	Keel     int          `json:"keel_pid"`
	Since    time.Time    `json:"since"`
	Previous *Program     `json:"previous,omitempty"` // what reltool daemon rollback goes back to
	Last     *Replacement `json:"last,omitempty"`
}

// Replacement of the daemon is one that was asked for.
type Replacement struct {
	ID    uint64  `json:"id"`
	By    Program `json:"by"`
	State string  `json:"state"`           // preparing, handing_over, taking_over, replaced, failed; unchanged: it runs already
	Error string  `json:"error,omitempty"` // why it failed
}

// ReplaceRequest is the body of POST /v1/daemon/upgrade. A path is absolute, and readable by the daemon.
type ReplaceRequest struct {
	Path      string `json:"path"`
	Downgrade bool   `json:"downgrade,omitempty"` // an older version is wanted
	Again     bool   `json:"again,omitempty"`     // so is the binary that runs already, in a new process
	By        string `json:"by"`
}

// Release is a numbered set of service versions.
type Release struct {
	Name     string            `json:"name"`     // "v2"
	Status   string            `json:"status"`   // unpacked, current, permanent, old
	Services map[string]string `json:"services"` // name: version
	Built    time.Time         `json:"built"`
	By       string            `json:"by,omitempty"`
	Failed   string            `json:"failed,omitempty"`  // why it was rolled back or aborted by itself the last time
	Aborted  bool              `json:"aborted,omitempty"` // it never got to serve then
}

// Built answers POST /v1/releases.
type Built struct {
	From    string   `json:"from"` // the release that serves; "" on an empty instance
	To      string   `json:"to"`
	New     bool     `json:"new"` // false: this very set serves, or is the newest release
	Changes []Change `json:"changes"`

	Supervision []string `json:"supervision,omitempty"` // how the supervision tree differs, a line each
	Warnings    []string `json:"warnings,omitempty"`    // of theseus.toml, as it was read for this, of packages that were passed over, and as a plan has them
}

// Change is what a release does to one service. From is "" if it is new, To is "" if it goes.
type Change struct {
	Service string   `json:"service"`
	From    string   `json:"from"`
	To      string   `json:"to"`
	Detail  []string `json:"detail,omitempty"` // "visit 1 -> 2: {…} -> {…}"
}

// BuildRequest is the body of POST /v1/releases: package files, by absolute path, readable by the daemon.
type BuildRequest struct {
	Packages []string `json:"packages"`
	By       string   `json:"by"`
	Remove   []string `json:"remove,omitempty"`    // names of services
	PassOver bool     `json:"pass_over,omitempty"` // packages whose version is taken with other content; each is a warning
}

// RemoveRequest is the body of POST /v1/remove.
type RemoveRequest struct {
	Release string `json:"release"`
	By      string `json:"by"`
}

// Removed answers POST /v1/remove.
type Removed struct {
	Release  string   `json:"release"`
	Packages []string `json:"packages"` // "visits 1.0.0": no longer in the store; others are still needed
}

// Plan answers POST /v1/plan. Digest names exactly this plan: an upgrade that carries it does this or nothing.
type Plan struct {
	From      string     `json:"from"`
	To        string     `json:"to"`
	Path      []string   `json:"path"` // releases or versions on the way
	Down      bool       `json:"down"`
	Digest    string     `json:"digest"`
	Steps     []PlanStep `json:"steps"`
	Rows      uint64     `json:"rows"`              // that migrate
	Estimate  float64    `json:"estimate_seconds"`  // until the switch
	Probation float64    `json:"probation_seconds"` // after it
	NoReturn  bool       `json:"irreversible"`

	Hold        bool `json:"hold,omitempty"`         // as it was asked for
	NoProbation bool `json:"no_probation,omitempty"` // likewise

	Memory uint64 `json:"memory_bytes,omitempty"` // that the standbys need beside what runs, about

	Paths map[string][]string `json:"paths,omitempty"` // by service: versions on the way, from one to the next

	Warnings []string `json:"warnings,omitempty"` // of services that cannot go back once the probation is over
}

// PlanStep is one line of a plan.
type PlanStep struct {
	Service string `json:"service,omitempty"`
	Name    string `json:"name"` // start, rehearse, follow, switch, probation, make_permanent...
	Text    string `json:"text"`
	Commit  bool   `json:"commit,omitempty"` // the commit point is here
}

// PlanRequest is the body of POST /v1/plan. An empty To means the newest unpacked release. Hold and NoProbation are part
// of the plan and of its digest: an upgrade that carries the digest has to ask for the same.
type PlanRequest struct {
	To          string `json:"to"`
	Hold        bool   `json:"hold,omitempty"`         // the probation lasts until a commit or a rollback
	NoProbation bool   `json:"no_probation,omitempty"` // permanent right after the switch
	Rollback    bool   `json:"rollback,omitempty"`     // what a rollback would do instead; an empty To means the release before
}

// UpgradeRequest is the body of POST /v1/upgrade, /v1/rehearse, /v1/rollback and /v1/commit, which answer a stream of Event, one JSON a
// line. An upgrade with Hold is done when its probation has begun. Hold and NoProbation exclude each other and mean
// nothing to a rollback or a commit.
type UpgradeRequest struct {
	To          string `json:"to"`
	Digest      string `json:"digest,omitempty"` // of the plan that was shown; refused if it is no longer the plan
	By          string `json:"by"`
	Hold        bool   `json:"hold,omitempty"`
	NoProbation bool   `json:"no_probation,omitempty"`
}

// Event is one line of progress, of the history and of the audit log.
type Event struct {
	Seq     uint64         `json:"seq,omitempty"` // of the journal; 0 for progress, which is not journaled
	Time    time.Time      `json:"time"`
	Kind    string         `json:"kind"` // planned, verified, started, rehearsed, following, ... see upgrades
	Upgrade uint64         `json:"upgrade,omitempty"`
	From    string         `json:"from,omitempty"`
	To      string         `json:"to,omitempty"`
	Service string         `json:"service,omitempty"`
	By      string         `json:"by,omitempty"`
	Text    string         `json:"text,omitempty"`
	Reason  string         `json:"reason,omitempty"`
	Hint    string         `json:"hint,omitempty"`
	Took    float64        `json:"seconds,omitempty"`  // since the step before it, for a step of an upgrade
	Rows    uint64         `json:"rows,omitempty"`     // that went up and down again in a rehearsal
	Pause   float64        `json:"pause,omitempty"`    // seconds in which nobody served; the longest, Detail has each service's
	Parts   []string       `json:"services,omitempty"` // the services that a release or an upgrade changes
	Done    uint64         `json:"done,omitempty"`
	Total   uint64         `json:"total,omitempty"`
	Detail  map[string]any `json:"detail,omitempty"`
	Error   *Error         `json:"error,omitempty"` // ends a stream that failed
	Last    bool           `json:"last,omitempty"`  // ends a stream
}

// Error is how the daemon says no. It crosses the socket as JSON with a status of 4xx or 5xx.
type Error struct {
	Code    string `json:"code"` // stable, and one of Codes
	Message string `json:"error"`
	Running string `json:"running,omitempty"` // what is running now
	Hint    string `json:"hint,omitempty"`
}

func (e *Error) Error() string { return e.Message }
