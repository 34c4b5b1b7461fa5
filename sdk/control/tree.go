package control

import (
	"context"
	"net/http"
	"time"
)

// Node is a supervisor or a service in the supervision tree. GET /v1/tree answers the root, with all that is under it.
type Node struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`  // supervisor or worker
	State    string    `json:"state"` // starting, running, restarting, failed, ended
	Reason   string    `json:"reason,omitempty"`
	LastEnd  string    `json:"last_end,omitempty"` // of a service: how what was restarted last had ended
	Version  string    `json:"version,omitempty"`  // of a service
	PID      int       `json:"pid,omitempty"`      // of the process that serves
	Strategy string    `json:"strategy,omitempty"` // of a supervisor
	Restart  string    `json:"restart"`            // permanent, transient, temporary
	Shutdown string    `json:"shutdown,omitempty"` // of a service: a duration, brutal_kill or infinity
	Liveness string    `json:"liveness,omitempty"` // of a service: a duration, or off
	Started  time.Time `json:"started,omitzero"`   // the last time

	// Recent counts the restarts within the period that ends now. A supervisor, and a service that is right under the root,
	// has failed when there are more than Intensity.
	Recent    int     `json:"restarts_in_window"`
	Intensity *int    `json:"intensity,omitempty"` // none of a service whose supervisor counts
	Period    float64 `json:"period_seconds,omitempty"`
	Restarts  int     `json:"restarts"` // since the daemon started

	// Mailbox is what waits: ends of children that a supervisor has not seen yet, messages to the processes of a service.
	// It is missing where nobody can tell.
	Mailbox *uint64 `json:"mailbox,omitempty"`

	Children []Node `json:"children,omitempty"` // in the order of starting

	// Pending says what is still to become of the tree: a supervisor that is at work holds a change up. Of the root alone.
	Pending []string `json:"pending,omitempty"`
}

// Tree is the supervision tree as it stands.
func (c *Client) Tree(ctx context.Context) (n Node, err error) {
	return n, c.call(ctx, http.MethodGet, "/v1/tree", nil, &n)
}
