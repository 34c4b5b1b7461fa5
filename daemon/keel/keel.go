// Package keel is the process that never changes: systemd, a container or a terminal sees this one. It knows nothing
// of services.
//
//	systemd ─ keel ──socketpair── daemon      replaced whenever it dies or falls silent
//	            ├ service                     children of a dead daemon become the keel's, which reaps them
//	            └ service
//
// The keel opens each listener that a daemon asks for and never closes it while somebody may serve it: a client that
// connects while a daemon or a service is being replaced waits in the kernel's queue and is never refused. One keel
// runs per instance, under a lock.
//
// When things break:
//   - the daemon dies or is silent for Silence: it is started again, after Backoff, doubling. Services go on.
//   - the daemon is to be replaced by another program: that one is started beside it, looks at everything and changes
//     nothing. When it is prepared, the old one lets go and ends, and only then the new one takes over. One that dies,
//     hangs or refuses before leaves the old one in charge; one that dies afterwards, before it is ready, or too often
//     in its Trial, makes room for the old program. A keel that is started begins with its own again.
//   - the daemon's program was replaced by one that does not get ready: after a few deaths every other start uses the
//     program that the keel itself runs.
//   - the daemon ends by itself before any daemon was ever ready: the keel ends with the daemon's exit code, for
//     nothing runs yet that could be lost.
//   - SIGTERM or SIGINT: the daemon is told to stop in order and has Grace for it; what then still lives below the
//     keel is killed. If no daemon runs, or it dies over it, one is started that only stops. A second signal kills at
//     once.
//   - somebody removes the file of a socket: it is linked again.
//   - the keel itself is killed: the daemon sees the end of the socketpair, stops its services in order and exits.
//     The next keel kills what it still finds, and Config.Clean the rest, before it starts a daemon.
package keel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// What a Config means where it is silent.
const (
	DefaultSilence    = 10 * time.Second
	DefaultGrace      = 30 * time.Second
	DefaultBackoff    = 50 * time.Millisecond
	DefaultMaxBackoff = 5 * time.Second
	DefaultPrepare    = 10 * time.Second
	DefaultLetGo      = 5 * time.Second
	DefaultTakeOver   = 30 * time.Second
	DefaultTrial      = time.Minute
	steadyLife        = 30 * time.Second      // after so long a death is no part of a series any more
	killGrace         = 5 * time.Second       // for the kernel to end what was killed
	sameWord          = 20 * time.Millisecond // a signal to the process and one to its group are one word, not two
)

// Config of a keel.
type Config struct {
	Run        string        // the run directory: there already, and private
	Path       string        // the daemon's program; this one if empty
	Args       []string      // of the daemon, without the program's name
	Clean      func() error  // ends what an earlier keel left behind; called once, under the lock
	Silence    time.Duration // without a beat, until the daemon is replaced
	Grace      time.Duration // for an orderly stop
	Backoff    time.Duration // before the first restart
	MaxBackoff time.Duration // between two restarts
	Prepare    time.Duration // for a new daemon beside the one in charge
	LetGo      time.Duration // for the old one to end, when the new one is prepared
	TakeOver   time.Duration // for the new one to be ready, when it is in charge
	Trial      time.Duration // in which a new one that dies too often makes room for the one before
	Logger     hclog.Logger  // to stderr if nil
}

// ErrForced says that an orderly stop did not end in time, so what was left has been killed.
var ErrForced = errors.New("not everything stopped in time; the rest was killed")

// ExitError is a daemon that gave up before any was ready.
type ExitError struct{ Code int }

func (e *ExitError) Error() string {
	return fmt.Sprintf("the daemon gave up with exit code %d", e.Code)
}

// keel is one goroutine: everything below happens in its loop, the reaping and the starting above all, so no death
// can be missed and no pid be mistaken.
type keel struct {
	cfg     Config
	log     hclog.Logger
	held    listeners
	systemd *systemd

	deaths chan os.Signal // SIGCHLD
	stops  chan os.Signal
	ended  chan struct{} // closed with the loop

	child    *child // nil while none runs
	inbox    chan message
	restart  <-chan time.Time // nil unless a restart is due
	backoff  time.Duration
	failures int  // deaths since a daemon was last ready
	ready    bool // some daemon was ready once
	stopping bool
	told     time.Time        // to stop
	deadline <-chan time.Time // of the orderly stop
	stopper  bool             // a daemon has been started for the stop alone
	stopLate bool             // the daemon was told to let go before it was told to stop

	charge       Program          // zero: the keel's own
	previous     Program          // zero if there is none
	replacing    *replacement     // the one under way; nil if none is
	limit        <-chan time.Time // of what it waits for
	trial        *replacement     // the daemon in charge is new; nil if it is not any more
	last         Replacement      // that was decided
	replacements uint64
}

// Run holds the instance until it is told to stop, by the context or by a signal. It returns nil after an orderly
// stop, ErrForced if that took too long, *LockedError if another keel holds the instance.
func Run(ctx context.Context, cfg Config) error {
	k := newKeel(cfg)
	lock, err := acquire(k.cfg.Run)
	if err != nil {
		return err
	}
	defer lock.release()
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the parent of orphans: %w", err)
	}
	if err := k.clean(); err != nil {
		return err
	}
	defer os.Remove(recordPath(k.cfg.Run)) //nolint:errcheck // it names a daemon that is dead
	defer k.held.closeAll()
	return k.loop(ctx)
}

func newKeel(cfg Config) *keel {
	cfg.Silence = or(cfg.Silence, DefaultSilence)
	cfg.Grace = or(cfg.Grace, DefaultGrace)
	cfg.Backoff = or(cfg.Backoff, DefaultBackoff)
	cfg.MaxBackoff = or(cfg.MaxBackoff, DefaultMaxBackoff)
	cfg.Prepare = or(cfg.Prepare, DefaultPrepare)
	cfg.LetGo = or(cfg.LetGo, DefaultLetGo)
	cfg.TakeOver = or(cfg.TakeOver, DefaultTakeOver)
	cfg.Trial = or(cfg.Trial, DefaultTrial)
	if cfg.Logger == nil {
		cfg.Logger = hclog.New(&hclog.LoggerOptions{Name: "keel", Output: os.Stderr})
	}
	return &keel{
		cfg: cfg, log: cfg.Logger, systemd: newSystemd(), backoff: cfg.Backoff,
		inbox: make(chan message), ended: make(chan struct{}),
	}
}

func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// clean leaves nothing of an earlier keel running.
func (k *keel) clean() error {
	if err := killPrevious(k.cfg.Run); err != nil {
		return fmt.Errorf("the daemon of an earlier keel: %w", err)
	}
	if k.cfg.Clean == nil {
		return nil
	}
	if err := k.cfg.Clean(); err != nil {
		return fmt.Errorf("what an earlier keel left behind: %w", err)
	}
	return nil
}

// loop runs until a stop is complete or the daemon gave up at the start.
func (k *keel) loop(ctx context.Context) error {
	defer k.subscribe()()
	tick := time.NewTicker(k.cfg.Silence / silentTicks)
	defer tick.Stop()
	told := ctx.Done()
	k.start()
	for {
		var end bool
		var err error
		select {
		case <-told:
			told = nil
			end, err = k.stop("the context ended")
		case s := <-k.stops:
			end, err = k.stop(s.String())
		case <-k.deaths:
			end, err = k.reap()
		case m := <-k.inbox:
			k.answer(m)
		case <-tick.C:
			k.listen()
			k.held.mend(k.log)
		case <-k.limit:
			k.overdue()
		case <-k.restart:
			k.start()
		case <-k.deadline:
			end, err = true, k.force()
		}
		if end {
			return err
		}
	}
}

// subscribe to signals; what it returns ends that. A SIGHUP that nohup had us ignore stays ignored.
func (k *keel) subscribe() (end func()) {
	signal.Ignore(syscall.SIGPIPE) // a log reader that went away must not end the instance
	k.deaths, k.stops = make(chan os.Signal, 1), make(chan os.Signal, 2)
	signal.Notify(k.deaths, syscall.SIGCHLD)
	signal.Notify(k.stops, syscall.SIGTERM, syscall.SIGINT)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(k.stops, syscall.SIGHUP)
	}
	return func() {
		close(k.ended)
		signal.Stop(k.deaths)
		signal.Stop(k.stops)
		signal.Reset(syscall.SIGPIPE)
	}
}

// stop begins the orderly stop; the second time it kills.
func (k *keel) stop(why string) (end bool, err error) {
	if k.stopping && time.Since(k.told) < sameWord {
		return false, nil
	}
	if k.stopping {
		k.log.Warn("told again to stop: killing what is left", "by", why)
		return true, k.force()
	}
	k.log.Info("stopping", "by", why)
	k.stopping, k.told, k.restart = true, time.Now(), nil
	k.systemd.stopping()
	k.deadline = time.After(k.cfg.Grace)
	k.forget("the instance is being stopped")
	if k.child == nil {
		return k.stopByAnother()
	}
	k.child.signal(syscall.SIGCONT) // a stopped daemon could not obey
	k.child.signal(syscall.SIGTERM)
	return false, nil
}

// silentTicks is how many ticks in a row without a beat make a silence. Counting ticks instead of asking the clock
// keeps a keel that was itself stopped for a while, with its daemon, from killing it on waking up.
const silentTicks = 10

// listen replaces a daemon that has been silent for too long.
func (k *keel) listen() {
	if k.child == nil || k.stopping {
		return
	}
	if k.child.silent++; k.child.silent <= silentTicks {
		return
	}
	k.log.Error("the daemon is silent; replacing it", "pid", k.child.pid, "for", k.cfg.Silence)
	k.child.signal(syscall.SIGKILL)
	k.child.silent = 0
}
