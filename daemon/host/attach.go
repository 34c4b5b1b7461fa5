package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/theseusd/theseus/daemon/audit"
	"github.com/theseusd/theseus/daemon/internal/proc"
	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/release"
)

// Attach finds the processes that an earlier daemon left running. One that no record names is killed; records and
// sockets of dead ones are removed. One that is silent is waited for in the background, and killed after
// Options.Patience; until then Take of its service waits. Every service is taken afterwards: nothing is restarted before
// Give.
func (h *Host) Attach(ctx context.Context) error {
	records, err := readRecords(h.o.Run)
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	if err := h.killStrays(ctx, records); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	return sweepFiles(h.o.Run, h.attachAll(ctx, records))
}

// attachAll returns the records whose processes are with us now.
func (h *Host) attachAll(ctx context.Context, records []record) (live []record) {
	var wg sync.WaitGroup
	with := make([]bool, len(records))
	for i, r := range records {
		wg.Go(func() { with[i] = h.attached(ctx, r) })
	}
	wg.Wait()
	for i, r := range records {
		if with[i] {
			live = append(live, r)
		}
	}
	return live
}

// attached reports whether the process of a record is with us now, or may be soon.
func (h *Host) attached(ctx context.Context, r record) bool {
	st, err := h.ask(ctx, r, attachTimeout)
	if errors.Is(err, errUnheard) {
		h.log.Warn("a process does not answer; waiting for it", "service", r.Service, "version", r.Version, "pid", r.PID,
			"at_most", h.o.Patience)
		s := h.service(r.Service)
		s.note(stateStarting, fmt.Errorf("pid %d does not answer the new daemon", r.PID))
		s.pending.Go(func() { h.await(r) })
		return true
	}
	return h.join(ctx, r, st, err)
}

// await attaches to a process that was silent, or ends it.
func (h *Host) await(r record) {
	st, err := h.ask(h.going, r, h.o.Patience)
	if h.life.Err() != nil {
		return // the next daemon goes on
	}
	h.join(h.life, r, st, err)
}

// join attaches to a process that has answered, with err nil, and forgets any other.
func (h *Host) join(ctx context.Context, r record, st upgrades.Status, err error) bool {
	var in *instance
	if err == nil {
		in, st, err = h.attach(ctx, r)
	}
	switch {
	case err == nil:
		h.service(r.Service).adopt(in, st)
		h.log.Info("attached", "service", r.Service, "version", r.Version, "pid", r.PID, "role", st.Role)
		return true
	case errors.Is(err, proc.ErrGone):
		h.log.Info("process died while no daemon ran", "service", r.Service, "version", r.Version, "pid", r.PID)
		h.o.Note(control.Event{
			Kind: audit.Crashed, Service: r.Service, Text: r.Version, Reason: "it died while no daemon ran",
		})
	default:
		h.log.Error("cannot attach; killing the process", "service", r.Service, "version", r.Version, "pid", r.PID, "error", err)
		if err := proc.Kill(ctx, r.ID); err != nil {
			h.log.Error("the process could not be killed", "pid", r.PID, "error", err)
		}
	}
	r.forget(h.o.Run)
	return false
}

// attach connects to a process, without go-plugin's own way to watch it, which misses deaths.
func (h *Host) attach(ctx context.Context, r record) (*instance, upgrades.Status, error) {
	var none upgrades.Status
	handle, err := proc.Open(r.ID)
	if err != nil {
		return nil, none, err
	}
	pkg, err := h.o.Packages.Look(r.Digest)
	if err != nil { // a process that runs needs its file no more
		h.log.Error("the package of a running process is damaged", "service", r.Service, "version", r.Version, "error", err)
		pkg = release.Package{Name: r.Service, Version: r.Version, Digest: r.Digest}
	}
	pkg.Settings = r.Settings
	pr := &process{spec: spec{path: pkg.Binary()}}
	pr.handle.Store(handle)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	client, svc, err := h.dial(ctx, pr, &plugin.ReattachConfig{
		Protocol: plugin.ProtocolGRPC, ProtocolVersion: r.Protocol, Pid: r.PID,
		Addr:         &net.UnixAddr{Name: r.Addr, Net: "unix"},
		ReattachFunc: func() (runner.AttachedRunner, error) { return pr, nil },
	})
	if err != nil {
		return nil, none, err
	}
	in := h.instance(pkg, handle, client, svc, r)
	st, err := in.Status(ctx)
	if err == nil && st.Role == upgrades.Starting {
		err = errors.New("its daemon died while it was being opened")
	}
	return in, st, err
}

// killStrays ends processes of ours that no record names: their daemon died between their start and the record.
func (h *Host) killStrays(ctx context.Context, records []record) error {
	ids, err := proc.Running(h.o.Programs)
	if err != nil {
		return err
	}
	strays := slices.DeleteFunc(ids, func(id proc.ID) bool {
		return slices.ContainsFunc(records, func(r record) bool { return r.ID == id })
	})
	for _, id := range strays {
		h.log.Warn("killing a process that no record names", "pid", id.PID)
	}
	ctx, cancel := context.WithTimeout(ctx, proc.KillTimeout)
	defer cancel()
	return proc.Kill(ctx, strays...)
}

// Sweep ends every process that runs from one of the programs directories, and removes records and sockets. It is for
// the start of a keel: the processes of an earlier one hold listeners that the new one cannot have.
func Sweep(ctx context.Context, run string, programs ...string) error {
	records, err := readRecords(run)
	if err != nil {
		return err
	}
	ids, err := running(programs)
	if err != nil {
		return err
	}
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	ctx, cancel := context.WithTimeout(ctx, proc.KillTimeout)
	defer cancel()
	if err := proc.Kill(ctx, ids...); err != nil {
		return err
	}
	for _, r := range records {
		r.forget(run)
	}
	return sweepFiles(run, nil)
}

// running lists the processes of the directories, but for this one.
func running(programs []string) (ids []proc.ID, err error) {
	for _, dir := range programs {
		list, err := proc.Running(dir)
		if err != nil {
			return nil, err
		}
		ids = append(ids, list...)
	}
	return slices.DeleteFunc(ids, func(id proc.ID) bool { return id.PID == os.Getpid() }), nil
}
