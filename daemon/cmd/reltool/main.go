// Command reltool builds releases, shows what an upgrade would do, upgrades, commits and rolls back.
//
// It talks to the daemon of an instance over its control socket. It ends with 0 when done, 1 when it failed, 2 when
// it was called wrongly and 3 when no daemon can be reached. Answers go to stdout, errors and hints to stderr.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
)

// Exit codes.
const (
	done        = 0
	failed      = 1
	wrongUsage  = 2
	unreachable = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], newScreen(os.Stdout), os.Stderr)
	stop()
	os.Exit(code)
}

// tool is one use of the program.
type tool struct {
	dir     string // of the instance, as given
	json    bool
	started bool // a command was found and its arguments are right
	out     screen
	err     io.Writer
}

// run does what args say and returns the exit code.
func run(ctx context.Context, args []string, out screen, err io.Writer) int {
	t := &tool{out: out, err: err}
	root := t.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(err)
	if err := root.ExecuteContext(ctx); err != nil {
		t.json = t.json || slices.Contains(args, "--json") // a call that is wrong was perhaps not read to its end
		return t.fail(err)
	}
	return done
}

func (t *tool) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "reltool",
		Short: "Build, plan, upgrade and roll back the services of a theseusd instance",
		Long: `Builds, plans, upgrades and rolls back the services of a theseusd instance.

The instance is the one of --dir, else of $THESEUS_DIR, else the nearest folder above with a .theseus in it, else
/var/lib/theseus. Exit codes: 0 done, 1 failed, 2 called wrongly, 3 no daemon can be reached.`,
		Example: `  reltool build               # a release of the newest sources: v1 -> v2
  reltool upgrade             # what an upgrade would do
  reltool upgrade --apply     # do it
  reltool rollback            # go back, with every write`,
		Version:       control.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			t.started = true
		},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&t.dir, "dir", "", "the instance's directory (default: $THESEUS_DIR, else the nearest one with a .theseus)")
	flags.BoolVar(&t.json, "json", false, "print JSON")
	root.AddCommand(t.initCommand(), t.trustCommand())
	root.AddCommand(t.appupCommand(), t.buildCommand(), t.upgradeCommand(), t.commitCommand(), t.rollbackCommand(), t.releasesCommand(), t.statusCommand(),
		t.rehearseCommand(), t.historyCommand(), t.removeCommand(), t.devCommand(), exitCodesTopic(), t.drillCommand(), t.daemonCommand())
	root.SetFlagErrorFunc(flagError)
	explain(root)
	return root
}

// dial returns a client for the instance.
func (t *tool) dial() (*control.Client, error) { return control.Dial(t.dir) }
