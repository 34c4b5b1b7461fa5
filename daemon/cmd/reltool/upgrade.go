package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
)

func (t *tool) upgradeCommand() *cobra.Command {
	var apply bool
	var how control.PlanRequest
	c := &cobra.Command{
		Use:   "upgrade [RELEASE]",
		Short: "Show what an upgrade would do; with --apply, do it",
		Long: `Shows the plan of an upgrade to RELEASE, by default to the newest one, unless that has failed: the path, every step, what migrates,
how long it takes and where the commit point is. With --apply it does exactly that and shows how it goes. An upgrade
goes on when reltool ends.

The probation that follows the switch ends by itself when the new versions did well for as long as their manifests say.
With --hold it has no end: reltool returns when it has begun, "reltool commit" makes the release permanent, "reltool rollback"
goes back, also after a restart of the daemon. A version that fails while it is held goes back by itself, as always; the
state log is not compacted meanwhile. With --no-probation the release is permanent right after the switch, and nothing goes
back by itself any more.`,
		Example: `  reltool upgrade                     # the plan
  reltool upgrade --apply             # do it
  reltool upgrade --apply --hold      # ... and wait for: reltool commit, or reltool rollback`,
		Args:              atMostOneRelease,
		ValidArgsFunction: t.completeReleases,
		RunE: func(cmd *cobra.Command, args []string) error {
			if how.Hold && how.NoProbation {
				return &usageError{text: "--hold and --no-probation exclude each other"}
			}
			how.To = first(args)
			return t.upgrade(cmd.Context(), how, apply)
		},
	}
	c.Flags().BoolVar(&apply, "apply", false, "do what the plan says")
	c.Flags().BoolVar(&how.Hold, "hold", false, "the probation waits for: reltool commit, or reltool rollback")
	c.Flags().BoolVar(&how.NoProbation, "no-probation", false, "permanent right after the switch, unwatched")
	return c
}

// upgrade plans, and applies exactly the plan it has shown.
func (t *tool) upgrade(ctx context.Context, how control.PlanRequest, apply bool) error {
	c, err := t.dial()
	if err != nil {
		return err
	}
	plan, err := c.Plan(ctx, how)
	if err != nil {
		return err
	}
	if !apply {
		return t.showPlan(plan, applyWith(how.To))
	}
	t.showHead(plan)
	request := control.UpgradeRequest{To: plan.To, Digest: plan.Digest, Hold: how.Hold, NoProbation: how.NoProbation}
	see, finish := t.viewer()
	err = c.Upgrade(ctx, request, see)
	finish()
	if err != nil {
		return t.broken(ctx, "upgrade", err)
	}
	t.end("upgrade applied", "state migrated: ok")
	if how.Hold {
		t.end(plan.To + " is held: " + t.again("reltool commit") + ", or " + t.again("reltool rollback"))
	}
	return nil
}

func (t *tool) commitCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "commit",
		Short: "End the probation: the release that serves is permanent now",
		Long: `Ends the probation of the upgrade under way at once and makes its release permanent: the old versions end. It is
what a probation with --hold waits for, and it cuts any other one short. From here the way back is an upgrade downwards.`,
		Example: `  reltool upgrade --apply --hold && ./smoke-test && reltool commit`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.commit(cmd.Context())
		},
	}
}

func (t *tool) commit(ctx context.Context) error {
	c, err := t.dial()
	if err != nil {
		return err
	}
	see, finish := t.viewer()
	err = c.Commit(ctx, control.UpgradeRequest{}, see)
	finish()
	if err != nil {
		return t.broken(ctx, "commit", err)
	}
	t.end("commit complete")
	return nil
}

func (t *tool) rollbackCommand() *cobra.Command {
	var plan bool
	c := &cobra.Command{
		Use:   "rollback [RELEASE]",
		Short: "Go back to the release before, or to RELEASE, with every write",
		Long: `Goes back to the release that served before. During the probation of an upgrade the old version is still there
and takes over at once; later it is an upgrade downwards. No write is lost either way. What it does, in steps, is shown
with --plan.`,
		Example:           "  reltool rollback --plan     # what it would do\n  reltool rollback",
		Args:              atMostOneRelease,
		ValidArgsFunction: t.completeReleases,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.rollback(cmd.Context(), first(args), plan)
		},
	}
	c.Flags().BoolVar(&plan, "plan", false, "only show what it would do")
	return c
}

// rollback shows where it leads, and goes there. That it cannot be shown does not keep anybody from it.
func (t *tool) rollback(ctx context.Context, to string, only bool) error {
	c, err := t.dial()
	if err != nil {
		return err
	}
	plan, err := c.Plan(ctx, control.PlanRequest{To: to, Rollback: true})
	switch {
	case only && err != nil:
		return err
	case only:
		return t.showPlan(plan, join(" ", "reltool rollback", to))
	case err == nil:
		t.showHead(plan)
	}
	see, finish := t.viewer()
	err = c.Rollback(ctx, control.UpgradeRequest{To: to}, see)
	finish()
	if err != nil {
		return t.broken(ctx, "rollback", err)
	}
	t.end("rollback complete")
	return nil
}

// viewer returns what shows events, and what ends the last line: JSON lines, or progress.
func (t *tool) viewer() (see func(control.Event), finish func()) {
	if t.json {
		e := json.NewEncoder(t.out)
		e.SetEscapeHTML(false)
		return func(ev control.Event) { _ = e.Encode(ev) }, func() {}
	}
	p := &progress{out: t.out}
	return p.show, p.finish
}

// end prints the result; JSON has it in the last event.
func (t *tool) end(lines ...string) {
	if t.json {
		return
	}
	for _, line := range lines {
		fmt.Fprintln(t.out, t.out.paint(green, line))
	}
}

// broken says what became of what was begun.
func (t *tool) broken(ctx context.Context, what string, err error) error {
	switch {
	case ctx.Err() != nil:
		return &hinted{fmt.Errorf("interrupted; the %s goes on", what), "see how far it is: reltool status"}
	case errors.Is(err, control.ErrLost):
		return &hinted{err, "the daemon resolves the " + what + " when it is back: reltool status"}
	}
	return err
}

// completeReleases offers the names of releases to the shell.
func (t *tool) completeReleases(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := t.dial()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := c.Releases(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, r := range list {
		names = append(names, fmt.Sprintf("%s\t%s, %s", r.Name, r.Status, listeners(r.Services)))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// atMostOneRelease refuses an empty name as well: a script whose variable is not set does not mean the newest release.
func atMostOneRelease(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] == "" {
		return &usageError{text: "RELEASE is empty: want a name, such as v2, or none"}
	}
	return cobra.MaximumNArgs(1)(cmd, args)
}
