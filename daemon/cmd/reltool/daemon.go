package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
)

func (t *tool) daemonCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "daemon", Short: "The daemon itself: which one runs, replace it, go back", Args: cobra.NoArgs,
		Long: `The daemon is in nobody's way: it can be replaced at any time, and services and their connections go on. The keel,
which holds the listeners, stays; it changes when theseusd is started anew, and then runs the daemon of its own
binary.`,
		Example: `  reltool daemon status
  reltool daemon upgrade ./theseusd
  reltool daemon rollback`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return &usageError{"daemon: say what to do: " + subcommands(cmd), how(cmd)}
		},
	}
	c.AddCommand(t.daemonStatusCommand(), t.daemonUpgradeCommand(), t.daemonRollbackCommand())
	return c
}

func (t *tool) daemonStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Which binary the daemon is, and what it can go back to", Args: cobra.NoArgs,
		Example: "  reltool daemon status --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.dial()
			if err != nil {
				return err
			}
			d, err := c.Daemon(cmd.Context())
			if err != nil {
				return err
			}
			if t.json {
				return t.out.json(d)
			}
			t.showDaemon(d)
			return nil
		},
	}
}

func (t *tool) daemonUpgradeCommand() *cobra.Command {
	var r control.ReplaceRequest
	c := &cobra.Command{
		Use: "upgrade PATH", Short: "Replace the daemon by the theseusd at PATH; services go on", Args: cobra.ExactArgs(1),
		Long: `Copies the theseusd at PATH into the instance and starts it beside the daemon that runs. When it has read the journal
and theseus.toml and every service has answered it, the old daemon ends and the new one takes over. A binary that is
broken, hangs or is older leaves the old one in charge; one that dies soon after makes room for it again. It is
refused while an upgrade of services is under way, its probation included.`,
		Example: "  reltool daemon upgrade /usr/bin/theseusd",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if r.Path, err = filepath.Abs(args[0]); err != nil {
				return err
			}
			return t.replaceDaemon(cmd.Context(), func(ctx context.Context, c *control.Client) (control.Replacement, error) {
				return c.ReplaceDaemon(ctx, r)
			})
		},
	}
	c.Flags().BoolVar(&r.Again, "again", false, "take the binary that runs already too, in a new process; the way back stays")
	c.Flags().BoolVar(&r.Downgrade, "downgrade", false, "take an older version too")
	return c
}

func (t *tool) daemonRollbackCommand() *cobra.Command {
	return &cobra.Command{
		Use: "rollback", Short: "Replace the daemon by the one that was in charge before", Args: cobra.NoArgs,
		Example: "  reltool daemon rollback",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.replaceDaemon(cmd.Context(), func(ctx context.Context, c *control.Client) (control.Replacement, error) {
				return c.RollbackDaemon(ctx, "")
			})
		},
	}
}

// replaceDaemon asks for a new daemon and waits until it, or the old one, is in charge.
func (t *tool) replaceDaemon(ctx context.Context, ask func(context.Context, *control.Client) (control.Replacement, error)) error {
	c, err := t.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	before, err := c.Daemon(ctx)
	if err != nil {
		return err
	}
	r, err := ask(ctx, c)
	if errors.Is(err, control.ErrLost) {
		return &hinted{err, "see which one is in charge: reltool daemon status"}
	}
	if err != nil {
		return err
	}
	if r.State == "unchanged" {
		if t.json {
			return t.out.json(before)
		}
		fmt.Fprintf(t.out, "theseusd %s of this digest (%s) runs already; nothing done\n", r.By.Version, short(r.By.Digest))
		return nil
	}
	after, err := awaitDaemon(ctx, c, r.ID)
	if err != nil {
		return err
	}
	if after.Last.State == "failed" {
		return &control.Error{
			Code: "not_replaced", Message: fmt.Sprintf("theseusd %s did not stay in charge: %s", r.By.Version, after.Last.Error),
			Running: fmt.Sprintf("theseusd %s, pid %d", after.Version, after.PID), Hint: "the log of theseusd may say more",
		}
	}
	if t.json {
		return t.out.json(after)
	}
	fmt.Fprintf(t.out, "theseusd %s, pid %d\n", arrow(before.Version, after.Version), after.PID)
	t.end("daemon replaced")
	return nil
}

// How long a replacement is waited for, and how often the daemon is asked: the keel decides within less.
const (
	replaceBudget = 2 * time.Minute
	askDaemon     = 50 * time.Millisecond
)

// awaitDaemon returns when the replacement is decided. No daemon may answer for a moment; connections wait meanwhile.
func awaitDaemon(ctx context.Context, c *control.Client, id uint64) (d control.Daemon, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, replaceBudget, errors.New("no daemon is in charge yet"))
	defer cancel()
	tick := time.NewTicker(askDaemon)
	defer tick.Stop()
	for {
		d, err = c.Daemon(ctx)
		if err == nil && d.Last != nil && d.Last.ID == id && (d.Last.State == "replaced" || d.Last.State == "failed") {
			return d, nil
		}
		select {
		case <-ctx.Done():
			return d, &hinted{errors.Join(context.Cause(ctx), err), "see: reltool daemon status, and the log of theseusd"}
		case <-tick.C:
		}
	}
}

func (t *tool) showDaemon(d control.Daemon) {
	var tab table
	tab.add(dim, "", "VERSION", "DIGEST", "PID", "SINCE", "PATH")
	tab.add("", "daemon", d.Version, short(d.Digest), fmt.Sprint(d.PID), clock(d.Since), d.Path)
	if d.Previous != nil {
		tab.add(dim, "previous", d.Previous.Version, short(d.Previous.Digest), "", "", d.Previous.Path)
	}
	tab.print(t.out)
	if d.Last != nil && d.Last.Error != "" {
		fmt.Fprintln(t.out, t.out.paint(red, "theseusd "+d.Last.By.Version+" did not stay in charge: "+d.Last.Error))
	}
}

// short is enough of a digest for people.
func short(digest string) string { return digest[:min(12, len(digest))] }
