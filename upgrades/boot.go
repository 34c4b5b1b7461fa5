package upgrades

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

// Boot gives every service of the serving release its active instance, attached or started, and ends what belongs to
// no service of it. On an instance whose first release never ran it starts the newest one and makes it permanent. A
// service that does not come up is left to the host, which goes on trying; the error names it. Services of an upgrade
// under way are left to that.
func (e *Engine) Boot(ctx context.Context) error {
	e.depart.Lock()
	defer e.depart.Unlock()
	if err := e.closed(); err != nil {
		return err
	}
	e.sweep()
	f := e.current() // before the release is read: what it changes is its own, also if it goes back and ends meanwhile
	name, first := e.bootRelease()
	if name == "" {
		return nil
	}
	ps, damaged := e.loadSome(name)
	if damaged != nil {
		e.log.Error("a package of the release cannot be read", "release", name, "error", damaged)
	}
	e.Supervise()
	e.endStrangers(ctx, ps, f)
	if err := e.bootAll(ctx, ps, e.supervision(e.treeOf(name)), f); err != nil {
		return fmt.Errorf("boot %s: %w", name, err)
	}
	if !first {
		return nil
	}
	_, err := e.append(record{Event: control.Event{Kind: Booted, To: name, Text: ps.text()}})
	return err
}

// bootRelease is the release that serves, or the newest if none ever did.
func (e *Engine) bootRelease() (name string, first bool) {
	e.read(func(r *registry) {
		name = r.serving
		n, bad := r.newest()
		if bad != nil && bad.aborted {
			n = bad // there is nothing that would serve instead
		}
		if name == "" && n != nil && r.upgrade == nil {
			name, first = n.name, true
		}
	})
	return name, first
}

// endStrangers stops services that some release has but this one does not.
func (e *Engine) endStrangers(ctx context.Context, ps packages, f *flight) {
	known := map[string]bool{}
	e.read(func(r *registry) {
		for _, n := range r.releases {
			for service := range n.set {
				known[service] = true
			}
		}
	})
	for service := range known {
		if _, stays := ps[service]; stays || f.flies(service) {
			continue
		}
		e.host.Take(service)
		for _, in := range e.host.Instances(service) {
			kill(ctx, in)
		}
		e.host.Give(service, nil)
	}
}

// flies is true if there is a flight and it changes the service.
func (f *flight) flies(service string) bool { return f != nil && f.has(service) }

// bootAll brings up all processes at once and lets each serve as soon as it is up, and those that it requires, or that
// come before it under its supervisors, are done. One that does not come up keeps nobody else waiting.
func (e *Engine) bootAll(ctx context.Context, ps packages, s release.Supervision, f *flight) error {
	boots := map[string]*booted{}
	for _, name := range ps.order() {
		if !f.flies(name) {
			boots[name] = &booted{pkg: ps[name], done: make(chan struct{})}
		}
	}
	var wg sync.WaitGroup
	for _, b := range boots {
		wg.Go(func() {
			defer close(b.done)
			b.err = e.bring(ctx, b)
			await(ctx, boots, ps.starts(s, b.pkg.Name))
			b.err = e.serve(ctx, b)
		})
	}
	wg.Wait()
	var errs []error
	for _, name := range ps.order() {
		if b := boots[name]; b != nil {
			errs = append(errs, b.err)
		}
	}
	return errors.Join(errs...)
}

// booted is a service on its way up.
type booted struct {
	pkg  release.Package
	in   Instance
	err  error
	done chan struct{} // it serves, or does not come up
}

// await returns when all of these are done, or ctx has ended.
func await(ctx context.Context, boots map[string]*booted, names []string) {
	for _, name := range names {
		other := boots[name]
		if other == nil {
			continue
		}
		select {
		case <-other.done:
		case <-ctx.Done():
			return
		}
	}
}

// bring finds or starts the process of a service.
func (e *Engine) bring(ctx context.Context, b *booted) (err error) {
	e.host.Take(b.pkg.Name)
	if b.in = e.pick(ctx, b.pkg.Name, itemOf(b.pkg)); b.in != nil {
		return nil
	}
	for try := range startTries {
		if try > 0 {
			if perr := pause(ctx, startPause); perr != nil {
				return errors.Join(err, perr)
			}
		}
		err = within(ctx, startBudget, func(ctx context.Context) error {
			b.in, err = e.host.Start(ctx, b.pkg)
			return err
		})
		if err == nil {
			return nil
		}
	}
	return err
}

// serve makes the process the active one and gives it to the host, or the host the package to go on with.
func (e *Engine) serve(ctx context.Context, b *booted) error {
	err := b.err
	if err == nil {
		err = within(ctx, backBudget, func(ctx context.Context) error {
			_, err := b.in.Activate(ctx, nil, false)
			return err
		})
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // the instance is being stopped: nobody is to start it again
	}
	if err != nil {
		kill(ctx, b.in)
		e.host.Give(b.pkg.Name, Gone(b.pkg))
		return fmt.Errorf("%s %s: %w", b.pkg.Name, b.pkg.Version, err)
	}
	e.host.Give(b.pkg.Name, b.in)
	e.settle(ctx, b.in)
	return nil
}
