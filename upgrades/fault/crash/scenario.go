package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	matrix "github.com/theseusd/theseus/upgrades/fault"
)

// scenario is something that an instance goes through.
type scenario struct {
	name     string
	from, to string // versions; the same if nothing is upgraded
	outcome  string // the last record if nobody falls; "" if none is written
	fill     bool   // segments are filled before the upgrade and in its probation
	back     bool   // an operator asks for the way back in the probation
	replace  bool   // the daemon is killed, and nothing else happens
	renew    bool   // the daemon is replaced by another one beside it, and nothing else happens
	like     string // the scenario that it is the same as up to its probation, or but for what it fills
}

var scenarios = []scenario{
	{name: "up", from: one, to: two, outcome: "permanent"},
	{name: "down", from: two, to: one, outcome: "permanent"},
	{name: "fill-up", from: one, to: two, outcome: "permanent", fill: true, like: "up"},
	{name: "back-up", from: one, to: two, outcome: "rolled_back", back: true, like: "up"},
	{name: "back-down", from: two, to: one, outcome: "rolled_back", back: true, like: "down"},
	{name: "bad", from: one, to: bad, outcome: "rolled_back", like: "up"},
	{name: "lame", from: one, to: lame, outcome: "aborted", like: "up"},
	{name: "daemon", from: one, to: one, replace: true},
	{name: "renew", from: one, to: one, renew: true},
	{name: "daemon-two", from: two, to: two, replace: true, like: "daemon"},
}

func scenarioOf(name string) (scenario, error) {
	for _, s := range scenarios {
		if s.name == name {
			return s, nil
		}
	}
	return scenario{}, fmt.Errorf("there is no scenario %q", name)
}

// role tells who a process of that name is.
func (s scenario) role(process string) matrix.Role {
	switch process {
	case "keel":
		return matrix.Keel
	case "daemon":
		return matrix.Daemon
	case "tally-" + s.from:
		return matrix.Old
	case "tally-" + s.to:
		return matrix.New
	}
	return ""
}

// process is the name of the one with that role.
func (s scenario) process(r matrix.Role) string {
	switch r {
	case matrix.Old:
		return "tally-" + s.from
	case matrix.New:
		return "tally-" + s.to
	}
	return string(r)
}

// loser is the version that ends with the scenario.
func (s scenario) loser() matrix.Role {
	if s.outcome == "permanent" {
		return matrix.Old
	}
	return matrix.New
}

// repeat is true if the upgrade succeeds when nobody interferes.
func (s scenario) repeat() bool { return s.upgrades() && s.to != bad && s.to != lame }

// upgrades is true if the scenario is about versions of the service, and the journal says how it ends.
func (s scenario) upgrades() bool { return !s.replace && !s.renew }

// play goes through the scenario and returns what its caller was told.
func (in *instance) play(ctx context.Context, s scenario) error {
	switch {
	case s.replace:
		return in.replace(ctx)
	case s.renew:
		return in.renew(ctx)
	}
	if s.fill {
		_ = in.client.fill(ctx) // it may fail: somebody may fall
	}
	return in.Upgrade(ctx, control.UpgradeRequest{To: in.releases[s.to], By: "crash"}, func(e control.Event) {
		switch {
		case s.fill && e.Kind == "probation":
			go func() { _ = in.client.fill(ctx) }()
		case s.back && e.Kind == "probation":
			go func() { _ = in.Rollback(ctx, control.UpgradeRequest{By: "crash"}, nil) }()
		}
	})
}

// replace kills the daemon and waits for the next one.
func (in *instance) replace(ctx context.Context) error {
	var was int
	for _, pid := range in.crowd().daemons {
		was = pid
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	ctx, stop := context.WithTimeout(ctx, replaceTime)
	defer stop()
	return in.until(ctx, func(s control.Status) bool { return s.PID != was && rests(s) })
}

// renew replaces the daemon by its own program, and waits until one of the two is in charge.
func (in *instance) renew(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, replaceTime)
	defer stop()
	if err := in.askForAnother(ctx); err != nil {
		return err
	}
	return in.until(ctx, func(s control.Status) bool { return rests(s) && len(in.crowd().daemons) == 1 })
}

// askForAnother asks again while the last upgrade is at its end: that is no time for it, and no failure either.
func (in *instance) askForAnother(ctx context.Context) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		_, err := in.ReplaceDaemon(ctx, control.ReplaceRequest{Path: in.yard.theseusd, Again: true, By: "crash"})
		var said *control.Error
		if !errors.As(err, &said) || said.Code != "busy" {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return err
		}
	}
}

const replaceTime = 20 * time.Second
