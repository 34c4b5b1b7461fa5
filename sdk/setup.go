package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	gogrpc "google.golang.org/grpc"

	"github.com/theseusd/theseus/sdk/otp"
	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/grpc"
	"github.com/theseusd/theseus/sdk/serve/resp"
	"github.com/theseusd/theseus/sdk/serve/ws"
	"github.com/theseusd/theseus/sdk/state"
)

// Setup collects what a service is. It is valid until the service's Setup function returns; a wrong declaration
// (a listener or verb twice, say) makes that version fail to start, with all that was wrong.
type Setup struct {
	service   Service
	store     *state.Store
	config    []byte
	log       *slog.Logger
	listeners []listener
	verbs     []Verb
	checks    []func(context.Context) error
	ready     []func() error
	tasks     []func(context.Context) error
	node      *otp.Hosted // nil if the service has no processes
	errs      []error
}

// A listener is served once the process is active.
type listener struct {
	name  string
	web   bool // a browser is answered
	serve func(g *serve.Group, ln net.Listener)
}

func newSetup(s Service, store *state.Store, config []byte, log *slog.Logger) *Setup {
	return &Setup{service: s, store: store, config: config, log: log}
}

func (s *Setup) run() error {
	if err := s.service.Setup(s); err != nil {
		return err
	}
	return errors.Join(s.errs...)
}

// State is the service's state log; state.NewTable wants it.
func (s *Setup) State() *state.Store { return s.store }

// Log is the service's logger. Its lines come out with the daemon's.
func (s *Setup) Log() *slog.Logger { return s.log }

// HTTP serves h on the listener of that name, whose address the manifest declares. Established keep-alive
// connections outlive the version.
func (s *Setup) HTTP(name string, h http.Handler) { s.HTTPServer(name, &http.Server{Handler: h}) }

// HTTPServer is HTTP for a server with its own timeouts and hooks.
func (s *Setup) HTTPServer(name string, srv *http.Server) {
	s.listen(listener{name, true, func(g *serve.Group, ln net.Listener) { g.HTTP(name, ln, srv) }})
}

// RESP answers Redis' protocol on the listener of that name.
func (s *Setup) RESP(name string, h resp.Handler) { s.RESPServer(name, resp.Server{Handle: h}) }

// RESPServer is RESP for a service that pushes messages to its clients, as subscriptions do.
func (s *Setup) RESPServer(name string, srv resp.Server) {
	s.listen(listener{name, false, func(g *serve.Group, ln net.Listener) { srv.Stream(g, name, ln) }})
}

// WebSocket serves WebSockets on the listener of that name, and plain requests beside them.
func (s *Setup) WebSocket(name string, srv ws.Server) {
	s.listen(listener{name, srv.HTTP != nil, func(g *serve.Group, ln net.Listener) { srv.Stream(g, name, ln) }})
}

// GRPC answers unary gRPC in clear text on the listener of that name; register is what protoc-gen-go-grpc generates, such as
//
//	s.GRPC("grpc", func(r grpc.ServiceRegistrar) { pb.RegisterGreeterServer(r, greeter{}) })
//
// The clients' connections outlive the version: see package sdk/serve/grpc for what that asks of handlers.
func (s *Setup) GRPC(name string, register func(gogrpc.ServiceRegistrar)) {
	srv := grpc.NewServer()
	register(srv)
	s.Stream(name, srv.Serve)
}

// Stream gives each connection of the listener to handle, for protocols of one's own.
func (s *Setup) Stream(name string, handle func(*serve.Conn)) {
	s.listen(listener{name, false, func(g *serve.Group, ln net.Listener) { g.Stream(name, ln, handle) }})
}

func (s *Setup) listen(n listener) {
	if n.name == controlListener {
		s.fail("listener %q: the name is taken by the service's own socket", n.name)
		return
	}
	for _, l := range s.listeners {
		if l.name == n.name {
			s.fail("listener %q is served twice", n.name)
			return
		}
	}
	s.listeners = append(s.listeners, n)
}

// Verb adds a command that the running version answers: `NAME VERB ARGS...` on the command line.
func (s *Setup) Verb(v Verb) {
	if err := v.validate(s.verbs); err != nil {
		s.errs = append(s.errs, err)
		return
	}
	s.verbs = append(s.verbs, v)
}

// Health adds a check; nil means healthy. It is asked about once a second during a probation. A check
// that takes longer than its context allows counts as failed.
func (s *Setup) Health(check func(context.Context) error) { s.checks = append(s.checks, check) }

// Ready calls f each time this version is about to serve: it may write its tables, and no request has come yet. It is for
// what is read from the tables once, and must be quick, since the clients wait. If it fails the version does not serve.
func (s *Setup) Ready(f func() error) { s.ready = append(s.ready, f) }

// isReady is all that the service does before it serves.
func (s *Setup) isReady() (err error) {
	for _, f := range s.ready {
		err = errors.Join(err, f())
	}
	return err
}

// Go runs f while this version is the active one: its context ends when the version is released or stopped, and
// then f must return. If f returns an error of its own the process ends, and the daemon restarts it.
func (s *Setup) Go(f func(context.Context) error) { s.tasks = append(s.tasks, f) }

// Node is a world of processes that go on in the next version of the service, each with its state, its mail, timers, links,
// monitors and names; see package otp for what that asks of their behaviours. They run while this version is the active
// one. There is one for each service.
func (s *Setup) Node(o otp.Options) *otp.Node {
	if s.node != nil {
		s.fail("a service has one node")
		return s.node.Node()
	}
	h, err := otp.Host(s.store, s.service.Version, s.log, o)
	if err != nil {
		s.errs = append(s.errs, err)
		return otp.New(o)
	}
	s.node = h
	s.Go(h.Run)
	return h.Node()
}

// Config decodes the service's config section of theseus.toml into v, a pointer to a struct with json tags that is
// filled with the defaults. Unknown keys are an error.
func (s *Setup) Config(v any) error {
	if len(s.config) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(s.config))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("sdk: config of %s: %w", s.service.Name, err)
	}
	return nil
}

func (s *Setup) fail(format string, args ...any) {
	s.errs = append(s.errs, fmt.Errorf("sdk: "+format, args...))
}
