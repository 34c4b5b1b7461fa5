package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/daemon/audit"
	"github.com/theseusd/theseus/daemon/control"
	"github.com/theseusd/theseus/daemon/internal/program"
	"github.com/theseusd/theseus/daemon/keel"
	api "github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/fault"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/journal"
)

// Codes of the errors that reach people.
const (
	codeBadProgram  = "bad_program"
	codeOlder       = "older"
	codeNoPrevious  = "no_previous"
	codeNotReplaced = "not_replaced"
)

// errReplaced ends a daemon whose successor is prepared. What runs goes on.
var errReplaced = errors.New("another daemon takes over")

// look finds out whether this daemon could take over from the one that is in charge, and changes nothing: the journal
// makes sense to it, and each service answers. theseus.toml has been read.
func (d *Daemon) look(ctx context.Context) error {
	records, err := journal.Read(d.paths.Journal)
	if err != nil {
		return err
	}
	if _, err := upgrades.New(upgrades.Options{Records: records}); err != nil {
		return fmt.Errorf("the journal: %w", err)
	}
	return d.host.Look(ctx)
}

// await returns nil when this daemon is in charge. Who ends it meanwhile, or ends its keel, has ended nothing else.
func (d *Daemon) await(ctx context.Context) error {
	if err := d.look(ctx); err != nil {
		return d.refuse(err)
	}
	fault.At(fault.DaemonPrepared)
	return d.keel.Prepared(context.WithoutCancel(ctx))
}

// refuseEarly is for a daemon that could not even be assembled.
func refuseEarly(cfg Config, d *Daemon, err error) {
	if err == nil {
		return
	}
	client := d.client()
	if client == nil {
		var lost error
		if client, lost = keel.Connect(cfg.KeelFD); lost != nil {
			return // nobody to tell
		}
	}
	client.Refused(err)
}

func (d *Daemon) client() *keel.Client {
	if d == nil {
		return nil
	}
	return d.keel
}

// refuse tells the keel why this daemon cannot take over.
func (d *Daemon) refuse(err error) error {
	d.keel.Refused(err)
	return err
}

// replacer implements control.Replacer.
type replacer struct {
	d     *Daemon
	letGo context.CancelCauseFunc
}

var _ control.Replacer = (*replacer)(nil)

// Daemon tells which binary this is, and what the keel knows.
func (r *replacer) Daemon(ctx context.Context) (api.Daemon, error) {
	known, err := r.d.keel.Daemons(ctx)
	if err != nil {
		return api.Daemon{}, fmt.Errorf("ask the keel: %w", err)
	}
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return api.Daemon{}, err
	}
	digest, err := program.Self()
	if err != nil {
		return api.Daemon{}, err
	}
	out := api.Daemon{
		Program: api.Program{Version: Version, Path: path, Digest: digest},
		PID:     os.Getpid(), Keel: r.d.keel.PID(), Since: known.Since,
	}
	if known.Previous.Path != "" {
		out.Previous = new(programOf(known.Previous))
	}
	if known.Last.ID > 0 {
		out.Last = new(replacementOf(known.Last))
	}
	return out, nil
}

func replacementOf(r keel.Replacement) api.Replacement {
	return api.Replacement{ID: r.ID, By: programOf(r.By), State: string(r.State), Error: r.Error}
}

func programOf(p keel.Program) api.Program {
	return api.Program{Version: p.Version, Path: p.Path, Digest: p.Digest}
}

// Replace has a binary take over.
func (r *replacer) Replace(ctx context.Context, req api.ReplaceRequest) (p api.Replacement, letGo func(), err error) {
	defer r.hold(ctx, &p, &err)()
	if err != nil {
		return p, nil, err
	}
	defer r.d.copies.use()()
	by, err := program.Take(ctx, r.d.paths.Daemons, req.Path)
	var no *program.RefusedError
	if errors.As(err, &no) {
		return p, nil, r.no(codeBadProgram, no.Error(), no.Hint)
	}
	if err != nil {
		return p, nil, err
	}
	if older(by.Version, Version) && !req.Downgrade {
		return p, nil, r.no(codeOlder, fmt.Sprintf("%s is theseusd %s, which is older than %s", req.Path, by.Version, Version),
			"if that is what you want: --downgrade")
	}
	return r.by(ctx, keel.Program(by), req)
}

// unchanged is the answer to a binary that is in charge already.
const unchanged = "unchanged"

// Back has the binary take over that was in charge before.
func (r *replacer) Back(ctx context.Context, req api.ReplaceRequest) (p api.Replacement, letGo func(), err error) {
	defer r.hold(ctx, &p, &err)()
	if err != nil {
		return p, nil, err
	}
	defer r.d.copies.use()()
	known, err := r.d.keel.Daemons(ctx)
	if err != nil {
		return p, nil, fmt.Errorf("ask the keel: %w", err)
	}
	if known.Previous.Path == "" {
		return p, nil, r.no(codeNoPrevious, "there is no daemon to go back to: "+nobodyBefore(known.Last), "name a binary: reltool daemon upgrade PATH")
	}
	return r.by(ctx, known.Previous, req)
}

// nobodyBefore says why no other binary was in charge before, by the last replacement.
func nobodyBefore(last keel.Replacement) string {
	if last.State == keel.Replaced {
		return "this one has replaced a process of the same binary, and no other binary was in charge before"
	}
	return "this one has replaced none"
}

// hold keeps the engine still, and for good if another daemon takes over: this one will begin nothing any more.
func (r *replacer) hold(ctx context.Context, p *api.Replacement, err *error) (end func()) {
	release, held := r.d.engine.Hold(ctx)
	if *err = held; held != nil {
		return func() {}
	}
	return func() {
		if *err != nil || p.State == unchanged {
			release()
		}
	}
}

func (r *replacer) by(ctx context.Context, by keel.Program, req api.ReplaceRequest) (p api.Replacement, letGo func(), err error) {
	if self, err := program.Self(); err != nil {
		return p, nil, err
	} else if by.Digest == self && !req.Again {
		return api.Replacement{By: programOf(by), State: unchanged}, func() {}, nil
	}
	if err := r.d.safe(); err != nil {
		return p, nil, err
	}
	own, err := program.Own(r.d.paths.Daemons, Version)
	if err != nil {
		return p, nil, fmt.Errorf("keep a copy of the daemon that runs: %w", err)
	}
	r.d.log.Info("another daemon is to take over", "version", by.Version, "digest", by.Digest, "by", req.By)
	ev := api.Event{
		Kind: audit.DaemonReplacing, From: Version, To: by.Version, By: req.By, Text: fmt.Sprintf("theseusd %s -> %s", Version, by.Version),
	}
	if err := r.d.keel.Replace(ctx, by, keel.Program(own)); err != nil {
		ev.Kind, ev.Reason = audit.DaemonNotReplaced, err.Error()
		r.d.audit.Note(ev)
		return p, nil, r.no(codeNotReplaced, fmt.Sprintf("theseusd %s cannot take over: %s", by.Version, err),
			"the log of theseusd may say more")
	}
	r.d.audit.Note(ev)
	fault.At(fault.DaemonReleasing)
	p = api.Replacement{By: programOf(by), State: string(keel.HandingOver)}
	if known, err := r.d.keel.Daemons(ctx); err == nil {
		p = replacementOf(known.Last)
	}
	return p, func() { r.letGo(errReplaced) }, nil
}

func (r *replacer) no(code, message, hint string) *api.Error {
	return &api.Error{Code: code, Message: message, Hint: hint, Running: fmt.Sprintf("theseusd %s, pid %d", Version, os.Getpid())}
}

// older is true if a is a lower version than b.
func older(a, b string) bool {
	va, err := semver.NewVersion(a)
	if err != nil {
		return true
	}
	vb, err := semver.NewVersion(b)
	return err == nil && va.LessThan(vb)
}

// release lets go of the journal and of what runs, for the next daemon.
func (d *Daemon) release() error {
	d.log.Info("letting go: another daemon takes over, services go on")
	d.engine.Close()
	d.host.Close()
	err := d.journal.Close()
	fault.At(fault.DaemonReleased)
	return err
}
