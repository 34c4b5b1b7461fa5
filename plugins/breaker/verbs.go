package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/plugins/breaker/internal/circuit"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/clock"
	"github.com/theseusd/theseus/sdk/serve"
)

var jsonFlag = sdk.Flag{Name: "json", Short: "as JSON"}

func (b *breakers) verbs() []sdk.Verb {
	return []sdk.Verb{
		{
			Name: "status", Args: "NAME", Short: "Show where a circuit stands", Do: b.statusVerb, Flags: []sdk.Flag{jsonFlag},
			Examples: "breaker status serviceA\nbreaker status serviceA --json",
		},
		{Name: "list", Short: "List all circuits", Do: b.listVerb, Flags: []sdk.Flag{jsonFlag}},
		{
			Name: "permit", Args: "NAME", Short: "Ask whether a call may be made; ends with 1 if it may not", Do: b.permitVerb,
			Flags: []sdk.Flag{jsonFlag}, Examples: "breaker permit serviceA && curl https://a.example",
		},
		{
			Name: "report", Args: "NAME", Short: "Tell how a call went", Do: b.reportVerb,
			Flags: []sdk.Flag{
				{Name: "ok", Short: "it went well"},
				{Name: "fail", Short: "it failed"},
				{Name: "exit", Arg: "CODE", Short: "it was a command that ended with this code"},
				{Name: "ok-exit", Arg: "CODE[,CODE]", Short: "codes that are no failure; 0 if it is not there"},
				{Name: "took", Arg: "DURATION", Short: "how long it took"},
				{Name: "lease", Arg: "LEASE", Short: "what permit has printed"},
			},
			Examples: "breaker report serviceA --fail\nbreaker report serviceA --ok --took 120ms",
		},
		{
			Name: "exec", Args: "NAME COMMAND...", Short: "Run a command if the circuit permits it, and report how it went", Do: b.execVerb,
			Flags: []sdk.Flag{
				{Name: "ok-exit", Arg: "CODE[,CODE]", Short: "codes that are no failure; 0 if it is not there"},
			},
			Examples: "breaker exec serviceA -- curl -sf https://a.example\nbreaker exec grep --ok-exit 0,1 -- grep x file",
		},
		b.forceVerb("force-open", "Refuse every call until it is reset"),
		b.forceVerb("force-close", "Permit every call until it is reset"),
		b.forceVerb("reset", "Begin anew, closed, with nothing counted"),
		{
			Name: "set", Args: "NAME", Short: "Give a circuit settings of its own; without flags, take them back", Do: b.setVerb,
			Flags: settingFlags(), Examples: "breaker set serviceA --failures 3 --cooldown 10s\nbreaker set serviceA --slow-after 2s --slow-ratio 0.3",
		},
		{
			Name: "watch", Args: "[NAME]", Short: "Print changes as they come, of all circuits or of one", Do: b.watchVerb, Flags: []sdk.Flag{jsonFlag},
			Examples: "breaker watch\nbreaker watch serviceA --json",
		},
		{Name: "events", Args: "[NAME]", Short: "List the last changes", Do: b.eventsVerb, Flags: []sdk.Flag{jsonFlag}},
	}
}

func (b *breakers) statusVerb(_ context.Context, c *sdk.Call) error {
	v, err := b.look(c.Args[0])
	if err != nil {
		return asUsage(err)
	}
	if c.Given("json") {
		return c.JSON(v)
	}
	c.Printf("state: %s\n", v)
	return nil
}

func (b *breakers) listVerb(_ context.Context, c *sdk.Call) error {
	all, err := b.list()
	if err != nil {
		return err
	}
	if c.Given("json") {
		return c.JSON(append([]view{}, all...))
	}
	for _, v := range all {
		c.Printf("%s: %s\n", v.Name, v)
	}
	return nil
}

func (b *breakers) permitVerb(_ context.Context, c *sdk.Call) error {
	p, t, err := b.permit(c.Args[0])
	if err != nil {
		return asUsage(err)
	}
	switch {
	case c.Given("json"):
		if err := c.JSON(permitView{p.Allowed, t.State, leaseText(p.Lease), p.Retry.Seconds()}); err != nil {
			return err
		}
	case p.Lease != 0:
		c.Printf("permitted (lease=%s)\n", leaseText(p.Lease))
	case p.Allowed:
		c.Printf("permitted\n")
	default:
		c.Printf("%s\n", refused(p))
	}
	if !p.Allowed {
		return sdk.ErrSaid
	}
	return nil
}

func refused(p circuit.Permit) string {
	if p.Retry > 0 {
		return fmt.Sprintf("refused (retry_in=%ds)", clock.Seconds(p.Retry))
	}
	return "refused (forced)"
}

func (b *breakers) reportVerb(ctx context.Context, c *sdk.Call) error {
	r, err := reportOf(c)
	if err != nil {
		return err
	}
	if _, err := b.report(c.Args[0], r); err != nil {
		return asUsage(err)
	}
	return b.statusVerb(ctx, c)
}

// reportOf reads how the call went: one of --ok, --fail and --exit says so.
func reportOf(c *sdk.Call) (r circuit.Report, err error) {
	said := 0
	for _, flag := range []string{"ok", "fail", "exit"} {
		if c.Given(flag) {
			said++
		}
	}
	if said != 1 {
		return r, sdk.Usagef("want one of --ok, --fail and --exit CODE")
	}
	r.Failed = c.Given("fail")
	if code, there := c.Flag("exit"); there {
		good, _ := c.Flag("ok-exit")
		r.Failed = !slices.Contains(strings.Split(cmp.Or(good, "0"), ","), code)
	}
	if word, there := c.Flag("took"); there {
		if r.Took, err = time.ParseDuration(word); err != nil || r.Took < 0 {
			return r, sdk.Usagef("--took %s: want a duration, such as 120ms", word)
		}
	}
	word, _ := c.Flag("lease")
	if r.Lease, err = leaseOf(word); err != nil {
		return r, sdk.Usagef("--lease %s: want what permit has printed", word)
	}
	return r, nil
}

// execVerb has the client run the command; its end is reported by a verb of its own.
func (b *breakers) execVerb(_ context.Context, c *sdk.Call) error {
	p, _, err := b.permit(c.Args[0])
	switch {
	case err != nil:
		return asUsage(err)
	case !p.Allowed:
		return errors.New(c.Args[0] + ": " + refused(p))
	}
	args := []string{c.Args[0]}
	if p.Lease != 0 {
		args = append(args, "--lease", leaseText(p.Lease))
	}
	if good, there := c.Flag("ok-exit"); there {
		args = append(args, "--ok-exit", good)
	}
	return c.Exec("report", args...)
}

func (b *breakers) forceVerb(name, short string) sdk.Verb {
	return sdk.Verb{Name: name, Args: "NAME", Short: short, Run: func(_ context.Context, args []string) (string, error) {
		if _, err := b.force(args[0], forces[name]); err != nil {
			return "", asUsage(err)
		}
		v, err := b.look(args[0])
		return "state: " + v.String(), err
	}}
}

func (b *breakers) watchVerb(ctx context.Context, c *sdk.Call) error {
	for number := b.story.end(); ; {
		lines, reached, more, err := b.story.after(number)
		if err != nil {
			return err
		}
		number = reached
		for _, l := range lines {
			if err := printLine(c, l); err != nil {
				return err
			}
		}
		select {
		case <-more:
		case <-serve.Parking(ctx):
			return errors.New("this version is being released: start it again")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (b *breakers) eventsVerb(_ context.Context, c *sdk.Call) error {
	lines, _, _, err := b.story.after(0)
	for _, l := range lines {
		if err := printLine(c, l); err != nil {
			return err
		}
	}
	return err
}

// printLine prints a change, if it is of the circuit that was asked for.
func printLine(c *sdk.Call, l line) error {
	switch {
	case len(c.Args) > 0 && c.Args[0] != l.Name:
		return nil
	case c.Given("json"):
		return c.JSON(l)
	}
	c.Printf("%s\n", l)
	return nil
}

// asUsage makes an error of usage of what the caller has done wrong, except for a lease that has ended.
func asUsage(err error) error {
	if errors.Is(err, circuit.ErrLease) || !callersFault(err) {
		return err
	}
	return sdk.Usagef("%v", err)
}
