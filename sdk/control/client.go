// Package control is the client of a running instance: of its daemon, over the control socket, and of each of its
// services, over the service's own socket.
//
//	reltool ──▶ run/control.sock ──▶ daemon            Client: status, releases, plan, upgrade, commit, rollback
//	visits  ──▶ run/visits.sock  ──▶ running version   Service: verbs
//
// Both speak HTTP and JSON, so `curl --unix-socket` does too. A service answers also while the daemon is down. When
// nobody listens, every call fails with a *DialError, which matches ErrNoDaemon and has a hint. What the daemon
// refuses is an *Error. A caller that goes away during Upgrade, Commit or Rollback stops only its own
// watching.
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"syscall"
	"time"
)

// Limits of one call.
const (
	CallTimeout = 2 * time.Minute // of calls that answer at once; taking a package in runs its binary
	maxError    = 1 << 20
)

// Client talks to the daemon of one instance. It may be used by several goroutines.
type Client struct {
	dir  string
	http *http.Client
}

// Dial returns a client for the instance that Find finds. The first call connects.
func Dial(dir string) (*Client, error) {
	dir, err := Find(dir)
	if err != nil {
		return nil, err
	}
	return &Client{dir: dir, http: over(dir, SocketName)}, nil
}

// Dir is the instance directory.
func (c *Client) Dir() string { return c.dir }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status tells what runs.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Releases lists the numbered releases, oldest first.
func (c *Client) Releases(ctx context.Context) (r []Release, err error) {
	return r, c.call(ctx, http.MethodGet, "/v1/releases", nil, &r)
}

// History lists what was journaled, oldest first.
func (c *Client) History(ctx context.Context) (h []Event, err error) {
	return h, c.call(ctx, http.MethodGet, "/v1/history", nil, &h)
}

// Follow gives what was journaled so far to past, and each later event to see as it happens, until ctx ends. It
// returns the cause of that, or ErrLost when the daemon ends.
func (c *Client) Follow(ctx context.Context, past func([]Event), see func(Event)) error {
	res, err := c.send(ctx, http.MethodGet, "/v1/history?follow", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := json.NewDecoder(res.Body)
	var list []Event
	if err := lines.Decode(&list); err != nil {
		return lost(ctx, err)
	}
	past(list)
	for {
		var e Event
		if err := lines.Decode(&e); err != nil {
			return lost(ctx, err)
		}
		see(e)
	}
}

// Daemon tells which binary the daemon is, and how its last replacement went.
func (c *Client) Daemon(ctx context.Context) (d Daemon, err error) {
	return d, c.call(ctx, http.MethodGet, "/v1/daemon", nil, &d)
}

// ReplaceDaemon starts a new daemon beside the one that runs. It returns once the new one is prepared: then the old
// one ends, and Daemon tells how it goes on. After an error the old one is in charge.
func (c *Client) ReplaceDaemon(ctx context.Context, r ReplaceRequest) (p Replacement, err error) {
	return p, c.call(ctx, http.MethodPost, "/v1/daemon/upgrade", r, &p)
}

// RollbackDaemon is ReplaceDaemon by the binary that was in charge before.
func (c *Client) RollbackDaemon(ctx context.Context, by string) (p Replacement, err error) {
	return p, c.call(ctx, http.MethodPost, "/v1/daemon/rollback", ReplaceRequest{By: by}, &p)
}

// Build makes the next numbered release out of the serving one and the packages. It changes nothing that runs.
func (c *Client) Build(ctx context.Context, r BuildRequest) (b Built, err error) {
	return b, c.call(ctx, http.MethodPost, "/v1/releases", r, &b)
}

// Remove forgets a release that nothing rests upon, and its packages.
func (c *Client) Remove(ctx context.Context, r RemoveRequest) (d Removed, err error) {
	return d, c.call(ctx, http.MethodPost, "/v1/remove", r, &d)
}

// Plan tells what an upgrade would do. It changes nothing.
func (c *Client) Plan(ctx context.Context, r PlanRequest) (p Plan, err error) {
	return p, c.call(ctx, http.MethodPost, "/v1/plan", r, &p)
}

// Rehearse starts the new versions beside those that serve, has them take every live row up and down again, and ends
// them. Nothing is switched. It ends when ctx does, and returns the first failure.
func (c *Client) Rehearse(ctx context.Context, r UpgradeRequest, see func(Event)) error {
	return c.stream(ctx, "/v1/rehearse", r, see)
}

// Upgrade does what a plan says and returns when the release is permanent, or held in its probation if the request says
// so, or with the reason why it is neither. Each event is given to see, in order. The upgrade goes on when ctx ends.
func (c *Client) Upgrade(ctx context.Context, r UpgradeRequest, see func(Event)) error {
	return c.stream(ctx, "/v1/upgrade", r, see)
}

// Commit ends the probation of the upgrade under way and returns when its release is permanent.
func (c *Client) Commit(ctx context.Context, r UpgradeRequest, see func(Event)) error {
	return c.stream(ctx, "/v1/commit", r, see)
}

// Rollback goes back to the release before, as Upgrade does forward.
func (c *Client) Rollback(ctx context.Context, r UpgradeRequest, see func(Event)) error {
	return c.stream(ctx, "/v1/rollback", r, see)
}

// call sends in and decodes the answer into out.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	ctx, stop := context.WithTimeout(ctx, CallTimeout)
	defer stop()
	res, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return lost(ctx, err)
	}
	return nil
}

// send returns the answer if it is a good one.
func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	res, err := send(ctx, c.http, method, path, in)
	if err != nil {
		return nil, err
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	e := answer(res)
	return nil, &e.Error
}

// send is one request; in is nil or becomes the JSON body.
func send(ctx context.Context, h *http.Client, method, path string, in any) (*http.Response, error) {
	var head bytes.Buffer
	var body io.Reader = &head
	if in != nil {
		if err := json.NewEncoder(&head).Encode(in); err != nil {
			return nil, err
		}
	}
	if asked, ok := in.(Asked); ok && asked.Input != nil {
		body = io.MultiReader(body, asked.Input)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://theseus"+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := h.Do(req)
	if err != nil {
		return nil, unwrapped(ctx, err)
	}
	return res, nil
}

// unwrapped drops the URL that net/http puts around an error; it means nothing on a unix socket.
func unwrapped(ctx context.Context, err error) error {
	var dial *DialError
	if errors.As(err, &dial) {
		return dial
	}
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	return lost(ctx, err)
}

// over is an HTTP client for one socket of an instance.
func over(dir, socket string) *http.Client {
	path := filepath.Join(RunDir(dir), socket)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := reach(ctx, dir, path)
		if err != nil && ctx.Err() == nil {
			return nil, &DialError{Dir: dir, Socket: path, Err: err}
		}
		if err != nil {
			return nil, fmt.Errorf("%s does not accept: %w", path, err)
		}
		return conn, nil
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConns: 2, IdleConnTimeout: time.Minute}}
}

// bootTime is how long a service is waited for that the daemon brings up.
const bootTime = 10 * time.Second

// reach connects to a socket. One that refuses has outlived whoever held it; if the daemon is there, it is about to bring the
// service up.
func reach(ctx context.Context, dir, path string) (net.Conn, error) {
	for end := time.Now().Add(bootTime); ; {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(end) || filepath.Base(path) == SocketName || !Listening(dir) {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Listening is true if somebody holds the control socket of the instance.
func Listening(dir string) bool {
	conn, err := net.DialTimeout("unix", filepath.Join(RunDir(dir), SocketName), time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
