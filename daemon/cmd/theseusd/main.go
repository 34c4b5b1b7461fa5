// Command theseusd runs an instance of Theseus: the directory given by --dir, with its services.
//
// It ends with 0 after an orderly stop, 1 when it could not start or had to kill what did not stop, 2 when it was called
// wrongly, and 78 when there is no such instance, theseus.toml has a mistake, or others could tamper with it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/daemon"
	"github.com/theseusd/theseus/daemon/host"
	"github.com/theseusd/theseus/daemon/keel"
	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/fault"
	"github.com/theseusd/theseus/sdk/logs"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/trust"
)

// Exit codes.
const (
	failed     = 1
	wrongUsage = 2
	badConfig  = 78 // EX_CONFIG
)

func main() {
	o := &options{}
	err := o.root().Execute()
	if err == nil {
		return
	}
	os.Exit(o.fail(err))
}

type options struct {
	dir, format, level string
	backoff, silence   time.Duration
	started            bool // the call was right
	beside, stop       bool // of a daemon
}

func (o *options) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "theseusd",
		Short: "Run an instance of Theseus: stateful services that never have to stop",
		Long: "theseusd runs the services of one instance directory: its releases/ is the drop folder for packages,\n" +
			"its theseus.toml, if there, says what an operator decides, and .theseus/ holds everything else.\n" +
			"Without --dir it is $THESEUS_DIR, or the current directory if that looks like one, or " + control.SystemDir + ".",
		Args: cobra.NoArgs, SilenceErrors: true, SilenceUsage: true, Version: daemon.Version,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.keel(cmd.Context()) },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&o.dir, "dir", "", "instance directory")
	flags.StringVar(&o.format, "log-format", "text", "log as text or json")
	flags.StringVar(&o.level, "log-level", "info", "log from trace, debug, info, warn or error upwards")
	root.Flags().DurationVar(&o.backoff, "max-backoff", keel.DefaultMaxBackoff,
		"longest wait before a daemon that keeps dying is started again")
	root.Flags().DurationVar(&o.silence, "silence", keel.DefaultSilence, "replace a daemon that has not given a sign of life for so long")
	root.AddCommand(o.daemonCommand(), o.reapCommand())
	root.CompletionOptions.HiddenDefaultCmd = true
	return root
}

func (o *options) daemonCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "daemon", Hidden: true, Args: cobra.NoArgs, Short: "What the keel starts",
		RunE: func(cmd *cobra.Command, _ []string) error { return o.daemon(cmd.Context()) },
	}
	c.Flags().BoolVar(&o.beside, strings.TrimLeft(keel.Beside, "-"), false, "wait for the daemon in charge to end, then take over")
	c.Flags().BoolVar(&o.stop, strings.TrimLeft(keel.Stop, "-"), false, "stop what runs, in order")
	return c
}

func (o *options) reapCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reap", Args: cobra.NoArgs, Short: "End what theseusd has left behind, if it runs no more",
		Long: "reap ends the service processes that a theseusd of this instance has left behind, in order, and removes its\n" +
			"sockets and notes; rows and releases stay. It knows the processes by pid and start time, never by name, and\n" +
			"refuses while a theseusd runs on the instance. It is for ExecStopPost= of systemd, and for anybody.",
		Example: "  theseusd reap --dir /var/lib/theseus",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return daemon.Reap(cmd.Context(), o.dir, cmd.OutOrStdout())
		},
	}
}

// check refuses wrong values of flags, and finds the instance.
func (o *options) check() error {
	if o.format != "text" && o.format != "json" {
		return fmt.Errorf("--log-format is %q, not text or json", o.format)
	}
	switch o.level {
	case "trace", "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("--log-level is %q, not trace, debug, info, warn or error", o.level)
	}
	o.started = true
	if o.dir == "" {
		o.dir = defaultDir()
	}
	return nil
}

// defaultDir is $THESEUS_DIR, or the current directory if there is something of an instance in it, or the system's.
func defaultDir() string {
	if dir := os.Getenv(control.EnvDir); dir != "" {
		return dir
	}
	for _, name := range []string{"theseus.toml", "releases", "go.mod"} {
		if _, err := os.Stat(name); err == nil {
			return "."
		}
	}
	return control.SystemDir
}

// keel is what a person, a container or systemd starts.
func (o *options) keel(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := fault.Enable("keel"); err != nil {
		return err
	}
	if _, err := os.Stat(o.dir); errors.Is(err, os.ErrNotExist) {
		return &unfit{fmt.Errorf("there is no directory %s; to make an instance there: reltool init %[1]s", o.dir)}
	}
	paths, err := daemon.Prepare(o.dir)
	if err != nil {
		return err
	}
	if err := paths.Check(); err != nil {
		return &unfit{err}
	}
	if _, err := daemon.Load(paths.Config); err != nil {
		return err // later, a daemon goes on without it
	}
	return keel.Run(ctx, keel.Config{
		Run: paths.Run, MaxBackoff: o.backoff, Silence: o.silence,
		Args:   []string{"daemon", "--dir", paths.Dir, "--log-format", o.format, "--log-level", o.level},
		Clean:  func() error { return host.Sweep(ctx, paths.Run, paths.Store, paths.Daemons) },
		Logger: logs.New("keel", o.format, o.level, os.Stderr),
	})
}

// unfit is an instance that is not there, that others can tamper with, or whose keys cannot be read.
type unfit struct{ error }

func (u *unfit) Unwrap() error { return u.error }

// daemon is what the keel starts.
func (o *options) daemon(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := fault.Enable("daemon"); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP) // a log reader or terminal that went away must not end us
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	d, err := daemon.New(daemon.Config{Dir: o.dir, LogFormat: o.format, LogLevel: o.level, Beside: o.beside, Stop: o.stop})
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

// fail says what is wrong and returns the exit code.
func (o *options) fail(err error) int {
	var gaveUp *keel.ExitError
	if errors.As(err, &gaveUp) {
		return gaveUp.Code // the daemon has said why
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", filepath.Base(os.Args[0]), err)
	var unsafe *trust.UnsafeError
	if errors.As(err, &unsafe) {
		fmt.Fprintln(os.Stderr, unsafe.Hint)
	}
	var mistake *appup.ParseError
	var state *unfit
	switch {
	case !o.started:
		return wrongUsage
	case errors.As(err, &mistake), errors.As(err, &unsafe), errors.As(err, &state):
		return badConfig
	}
	return failed
}
