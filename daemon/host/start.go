package host

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/theseusd/theseus/sdk/fault"
	"github.com/theseusd/theseus/sdk/wire"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/release"
)

// Start runs the package as a standby of its service.
func (h *Host) Start(ctx context.Context, p release.Package) (upgrades.Instance, error) {
	s := h.service(p.Name)
	s.note(stateStarting, nil)
	in, err := h.start(ctx, p)
	if err != nil {
		s.note(stateFailed, err)
		return nil, err
	}
	return in, nil
}

func (h *Host) start(ctx context.Context, p release.Package) (*instance, error) {
	began := time.Now()
	settings := p.Settings
	p, err := h.o.Packages.Get(p.Digest) // reads the binary again: what runs is what was verified
	if err != nil {
		return nil, err
	}
	p.Settings = settings
	in, err := h.launch(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("start %s %s: %w", p.Name, p.Version, err)
	}
	if err := in.open(ctx); err != nil {
		in.kill()
		return nil, fmt.Errorf("start %s %s: %w", p.Name, p.Version, err)
	}
	h.log.Debug("process is up", "service", p.Name, "version", p.Version, "pid", in.record.PID, "took", time.Since(began))
	return in, nil
}

// launch executes the binary and shakes hands.
func (h *Host) launch(ctx context.Context, p release.Package) (*instance, error) {
	began := time.Now()
	listeners, err := h.listen(ctx, p)
	if err == nil {
		listeners = append(listeners, h.elsewhere(ctx, p)...)
	}
	defer func() { closeAll(listeners) }()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(h.o.State, p.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := h.link(p); err != nil {
		return nil, err
	}
	pr := &process{spec: spec{path: p.Binary(), dir: dir, run: h.o.Run, env: h.env(), listeners: listeners}}
	client, svc, err := h.dial(ctx, pr, nil)
	if err != nil {
		h.sweepSockets(began)
		return nil, err
	}
	fault.At(fault.HostLaunched)
	in := h.instance(p, pr.handle.Load(), client, svc, h.recordOf(p, pr, client))
	if err := in.record.write(h.o.Run); err != nil {
		in.kill()
		return nil, err
	}
	return in, nil
}

func (h *Host) recordOf(p release.Package, pr *process, client *plugin.Client) record {
	r := record{
		ID: pr.handle.Load().ID(), Service: p.Name, Version: p.Version, Digest: p.Digest,
		Addr: client.ReattachConfig().Addr.String(), Protocol: client.NegotiatedVersion(), Started: time.Now().UTC(),
		Settings: p.Settings,
	}
	for _, l := range pr.spec.listeners {
		if !l.also {
			r.Listeners = append(r.Listeners, l.bound)
		}
	}
	return r
}

func (h *Host) env() map[string]string {
	env := hostEnv()
	maps.Copy(env, map[string]string{wire.EnvLogFormat: h.o.LogFormat, wire.EnvLogLevel: h.o.LogLevel})
	return env
}

// open has the process read its state log to the end, and learns what it is.
func (in *instance) open(ctx context.Context) error {
	ctx, cancel := in.attended(ctx)
	defer cancel()
	reply, err := in.svc.Open(ctx, &wire.OpenRequest{
		StateDir: filepath.Join(in.host.o.State, in.pkg.Name),
		Config:   in.host.decisions(in.pkg).Config,
	})
	if err != nil {
		return in.failIn(ctx, "open", err)
	}
	if len(reply.Description) == 0 {
		return nil
	}
	if err := json.Unmarshal(reply.Description, &in.desc); err != nil {
		return fmt.Errorf("open: description: %w", err)
	}
	return nil
}
