package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/theseusd/theseus/plugins/faultlab/internal/lab"
	"github.com/theseusd/theseus/plugins/faultlab/internal/report"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/serve"
)

// run does one run, and keeps what was seen, also if it was given up.
func (l *laboratory) run(ctx context.Context, c *sdk.Call) error {
	p, err := planOf(c)
	if err != nil {
		return err
	}
	if err := l.enter(ctx, c); err != nil {
		return err
	}
	defer func() { <-l.busy }()
	_, asJSON := c.Flag("json")
	r := newRun(p)
	watch := lab.Watcher{Progress: seldom(c.Progress)}
	if !asJSON {
		watch.Line = func(line string) { c.Printf("%s\n", paint(c.Colour, line)) }
	}
	var failed error
	if r.Trials, failed = lab.Run(ctx, p, l.self, watch); failed != nil {
		failed = given(failed)
	}
	r, err = l.keep(r)
	if err := errors.Join(failed, err); err != nil {
		return err
	}
	return l.tell(c, r, !asJSON)
}

// enter waits until no other run is at work.
func (l *laboratory) enter(ctx context.Context, c *sdk.Call) error {
	select {
	case l.busy <- struct{}{}:
		return nil
	default:
		c.Progress("waiting for another run to end")
	}
	select {
	case l.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return given(context.Cause(ctx))
	}
}

// given says in words that a run was given up for an upgrade.
func given(err error) error {
	if errors.Is(err, serve.ErrParking) {
		return errors.New("this version of the lab is being released, so the run was given up: start it again")
	}
	return err
}

// progressEvery is how often progress is shown.
const progressEvery = 100 * time.Millisecond

// seldom passes on what comes after a while of nothing.
func seldom(f func(string)) func(string) {
	last := time.Now()
	return func(line string) {
		if now := time.Now(); now.Sub(last) >= progressEvery {
			last = now
			f(line)
		}
	}
}

// tell prints what is to be said at the end of a run, and writes its report.
func (l *laboratory) tell(c *sdk.Call, r Run, text bool) error {
	if text {
		c.Printf("%s", numbers(r))
	} else if err := printJSON(c, r); err != nil {
		return err
	}
	if _, given := c.Flag("report"); !given {
		return nil
	}
	page, err := report.Page(title(r), r.Trials)
	if err != nil {
		return err
	}
	return c.Write("report", page)
}

func printJSON(c *sdk.Call, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	c.Printf("%s\n", text)
	return err
}

// show tells a run again.
func (l *laboratory) show(_ context.Context, c *sdk.Call) error {
	r, err := l.find(append(c.Args, "")[0])
	if err != nil {
		return err
	}
	_, asJSON := c.Flag("json")
	if !asJSON {
		for _, line := range r.Trials[0].Story {
			c.Printf("%s\n", paint(c.Colour, line))
		}
	}
	return l.tell(c, r, !asJSON)
}

// history lists the runs, the newest last.
func (l *laboratory) history(_ context.Context, c *sdk.Call) error {
	f := flags{call: c}
	last := f.number("last", 1, kept)
	if f.err != nil {
		return f.err
	}
	all := []Run{}
	if err := l.rows.Range(func(_ string, r Run) bool { all = append(all, r); return true }); err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b Run) int { return int(a.Number - b.Number) })
	all = all[max(len(all)-last, 0):]
	if _, asJSON := c.Flag("json"); asJSON {
		for i := range all {
			for k := range all[i].Trials {
				all[i].Trials[k].Lanes = nil // these are for show
			}
		}
		return printJSON(c, all)
	}
	if len(all) == 0 {
		return errNoRuns
	}
	c.Printf("%s", historyTable(all))
	return nil
}

func historyTable(all []Run) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tBEGAN\tSTRATEGY\tFAULT\tLEVEL\tWORKERS\tCRASHES\tRECOVERY\tOUTCOME")
	for _, r := range all {
		t := r.Trials[0]
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", r.Number, r.Began.Format(time.DateTime), r.Strategy, r.Fault, r.Level,
			r.Workers, t.Crashes, report.Seconds(t.Recovery.P50), outcome(t))
	}
	_ = w.Flush()
	return b.String()
}

// numbers is what is to be said of more than one crash, or of more than one strategy.
func numbers(r Run) string {
	var b strings.Builder
	if t := r.Trials[0]; t.Recovery.Count > 1 {
		fmt.Fprintf(&b, "recovered %d times: p50 %s, p99 %s, max %s; restarts within %s: at most %d, %d allowed\n", t.Recovery.Count,
			report.Seconds(t.Recovery.P50), report.Seconds(t.Recovery.P99), report.Seconds(t.Recovery.Max),
			report.Seconds(r.Period), t.InWindow, r.Intensity)
	}
	if len(r.Trials) == 1 {
		return b.String()
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nSTRATEGY\tCRASHES\tRESTARTED\tUNAFFECTED\tP50\tP99\tMAX\tOUTCOME")
	for _, t := range r.Trials {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d of %d\t%s\t%s\t%s\t%s\n", t.Strategy, t.Crashes, t.Restarts, t.Unharmed, r.Workers,
			report.Seconds(t.Recovery.P50), report.Seconds(t.Recovery.P99), report.Seconds(t.Recovery.Max), outcome(t))
	}
	_ = w.Flush()
	return b.String()
}

// title says what was done.
func title(r Run) report.Title {
	t := report.Title{
		Number: r.Number, Began: r.Began, Version: r.Version, Strategy: r.Strategy, Fault: r.Fault, Level: r.Level,
		Workers: r.Workers, Intensity: r.Intensity, Period: r.Period, Seed: r.Seed,
	}
	return t
}

// paint colours the end of a line.
func paint(colour bool, line string) string {
	what, then, found := strings.Cut(line, " -> ")
	switch {
	case !colour:
		return line
	case found && strings.Contains(then, "gave up"):
		return what + " -> \x1b[31m" + then + "\x1b[0m"
	case found:
		return what + " -> \x1b[32m" + then + "\x1b[0m"
	case strings.HasPrefix(line, "escalation"):
		return "\x1b[31m" + line + "\x1b[0m"
	case strings.HasSuffix(line, "unaffected"):
		return "\x1b[2m" + line + "\x1b[0m"
	default:
		return "\x1b[33m" + line + "\x1b[0m"
	}
}
