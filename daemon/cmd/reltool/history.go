package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades"
)

// asked is which part of the history somebody wants to see.
type asked struct {
	last    uint   // blocks; all if 0
	service string // all if ""
	upgrade uint64 // all if 0
	detail  bool
}

func (t *tool) historyCommand() *cobra.Command {
	var a asked
	var follow bool
	c := &cobra.Command{
		Use: "history [UPGRADE]", Short: "Who did what, when, how long each step took, and how it ended",
		Long: `Shows what was done to the instance, the newest last: each upgrade with its steps, how long each took, how many rows were
rehearsed, how long nobody served and why it went back; and between them releases that were built, services that
crashed, and starts of the daemon. With the number of an upgrade it shows all that is known of that one.

With --json it is one event a line. The same lines are in DIR/.theseus/audit.jsonl.`,
		Example: "  reltool history --last 5\n  reltool history 3\n  reltool history --service visits --follow\n" +
			"  reltool history --json | jq 'select(.kind == \"rolled_back\") | .reason'",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: t.completeUpgrades,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				n, err := strconv.ParseUint(args[0], 10, 64)
				if err != nil || n == 0 || (a.upgrade != 0 && a.upgrade != n) {
					return &usageError{text: fmt.Sprintf("%q is not the number of an upgrade", args[0])}
				}
				a.upgrade, a.detail = n, true
			}
			if follow {
				return t.followHistory(cmd.Context(), a)
			}
			return t.history(cmd.Context(), a)
		},
	}
	c.Flags().UintVar(&a.last, "last", 0, "only the last N upgrades and other lines")
	c.Flags().StringVar(&a.service, "service", "", "only what concerns this service")
	c.Flags().Uint64Var(&a.upgrade, "upgrade", 0, "only the upgrade of this number")
	c.Flags().BoolVar(&follow, "follow", false, "go on and show what happens from now on")
	_ = c.RegisterFlagCompletionFunc("service", t.completeServices)
	_ = c.RegisterFlagCompletionFunc("upgrade", t.completeUpgrades)
	return c
}

func (t *tool) history(ctx context.Context, a asked) error {
	c, err := t.dial()
	if err != nil {
		return err
	}
	list, err := t.past(ctx, c, a)
	if err != nil {
		return err
	}
	blocks := a.choose(inBlocks(list))
	if len(blocks) == 0 && a.upgrade > 0 {
		return a.nothing(list)
	}
	t.showHistory(blocks, a.detail)
	return nil
}

// past is the history, if it knows the service that is asked for.
func (t *tool) past(ctx context.Context, c *control.Client, a asked) ([]control.Event, error) {
	list, err := c.History(ctx)
	if err != nil || a.service == "" {
		return list, err
	}
	known := map[string]bool{}
	for _, e := range list {
		known[e.Service] = true
		for _, name := range e.Parts {
			known[name] = true
		}
	}
	if s, err := c.Status(ctx); err == nil { // what it did may be kept no longer
		for _, one := range s.Services {
			known[one.Name] = true
		}
	}
	delete(known, "")
	if known[a.service] {
		return list, nil
	}
	return nil, &hinted{fmt.Errorf("the history has no service %q", a.service), "there are: " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")}
}

// nothing says why there is no such upgrade.
func (a asked) nothing(list []control.Event) error {
	gone := func(e control.Event) bool { return e.Kind == upgrades.Dropped && a.upgrade <= e.Done }
	if slices.ContainsFunc(list, gone) {
		return &hinted{fmt.Errorf("upgrade %d is kept no longer", a.upgrade), "older lines are in .theseus/audit.jsonl, .1, .2 and .3"}
	}
	return fmt.Errorf("there is no upgrade %d%s", a.upgrade, label(" of ", a.service))
}

// block is an upgrade with its steps, or one event that belongs to none.
type block []control.Event

func (b block) upgrade() uint64 { return b[0].Upgrade }

// inBlocks puts each upgrade where it began.
func inBlocks(list []control.Event) (blocks []block) {
	at := map[uint64]int{}
	for _, e := range list {
		if i, ok := at[e.Upgrade]; ok && e.Upgrade != 0 {
			blocks[i] = append(blocks[i], e)
			continue
		}
		at[e.Upgrade] = len(blocks)
		blocks = append(blocks, block{e})
	}
	return blocks
}

func (a asked) choose(blocks []block) []block {
	blocks = slices.DeleteFunc(blocks, func(b block) bool { return !a.wants(b) })
	if a.last > 0 {
		blocks = blocks[len(blocks)-min(len(blocks), int(min(a.last, math.MaxInt))):]
	}
	return blocks
}

func (a asked) wants(b block) bool {
	if a.upgrade != 0 && b.upgrade() != a.upgrade {
		return false
	}
	return a.service == "" || b[0].Kind == upgrades.Dropped || slices.ContainsFunc(b, func(e control.Event) bool {
		return e.Service == a.service || slices.Contains(e.Parts, a.service)
	})
}

// showHistory prints each upgrade with its steps, everything else as one line, oldest first.
func (t *tool) showHistory(blocks []block, detail bool) {
	for _, b := range blocks {
		switch {
		case t.json:
			t.lines(b)
		case b.upgrade() == 0:
			fmt.Fprintf(t.out, "%s  %s\n", clock(b[0].Time), t.about(b[0]))
		default:
			fmt.Fprintf(t.out, "%s  %s\n", clock(b[0].Time), t.heading(b))
			t.steps(b, detail)
		}
	}
}

// lines prints one event a line, as JSON.
func (t *tool) lines(list []control.Event) {
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	for _, ev := range list {
		_ = e.Encode(ev) // a reader who went away wants no more
	}
}

func (t *tool) steps(b block, detail bool) {
	var before time.Time
	for _, e := range b {
		if detail {
			t.detail(e, before)
		} else {
			fmt.Fprintln(t.out, stepLine(t.out, brief(e), before))
		}
		before = e.Time
	}
}

// detail is a step with its time of day, and with all of its texts.
func (t *tool) detail(e control.Event, before time.Time) {
	reason, hint, by := e.Reason, e.Hint, label("by ", e.By)
	e.Reason, e.Hint = "", ""
	line := stepLine(t.out, e, before)
	fmt.Fprintf(t.out, "  %s%s\n", e.Time.Local().Format("15:04:05.000"), line)
	for _, more := range []string{label("because: ", reason), label("hint: ", hint)} {
		if more != "" {
			fmt.Fprintf(t.out, "%16s%s\n", "", strings.ReplaceAll(more, "\n", "\n"+strings.Repeat(" ", 16)))
		}
	}
	if e.Kind == "planned" {
		fmt.Fprintf(t.out, "%16s%s\n", "", join(", ", by, label("changes ", strings.Join(e.Parts, ", "))))
	}
}

// maxBrief is the longest reason in a list, in runes.
const maxBrief = 300

// brief is an event whose texts fit on a line.
func brief(e control.Event) control.Event {
	for _, text := range []*string{&e.Text, &e.Reason, &e.Hint} {
		first, _, more := strings.Cut(*text, "\n")
		if r := []rune(first); more || len(r) > maxBrief {
			first = string(r[:min(len(r), maxBrief)]) + "..."
		}
		*text = first
	}
	return e
}

// about is a line for what is no step of an upgrade.
func (t *tool) about(e control.Event) string {
	e = brief(e)
	subject := e.To
	switch {
	case strings.HasPrefix(e.Kind, "daemon_"):
		subject, e.Text = e.Text, ""
	case e.To == "" && e.Service != "":
		subject, e.Text = e.Service+" "+e.Text, ""
	}
	what := t.out.paint(kindInk(e.Kind), strings.ReplaceAll(strings.TrimPrefix(e.Kind, "daemon_"), "_", " "))
	if e.Took > 0 {
		what += " after " + seconds(e.Took)
	}
	e.Service = ""
	return join(": ", join(" ", subject, what, label("by ", e.By)), saying(e))
}

// heading says from where to where, by whom, and how it ended.
func (t *tool) heading(b block) string {
	last := b[len(b)-1]
	end := t.out.paint(kindInk(last.Kind), last.Kind) + " after " + seconds(last.Time.Sub(b[0].Time).Seconds())
	if !upgrades.State(last.Kind).Ended() {
		end = "under way, " + last.Kind
	}
	return fmt.Sprintf("upgrade %d: %s: %s", b.upgrade(), t.course(b[0]), join(", ", end, pauseOf(b)))
}

func (t *tool) course(e control.Event) string {
	return join(" ", t.out.paint(bold, arrow(e.From, e.To)), label("by ", e.By))
}

// pauseOf is the pause of the last switch.
func pauseOf(all []control.Event) (text string) {
	for _, e := range all {
		if p := pause(e); p != "" {
			text = p
		}
	}
	return text
}

// followHistory shows the past and what comes, until it is interrupted.
func (t *tool) followHistory(ctx context.Context, a asked) error {
	c, err := t.dial()
	if err != nil {
		return err
	}
	if a.service != "" {
		if _, err := t.past(ctx, c, a); err != nil {
			return err
		}
	}
	f := &follower{tool: t, asked: a, wanted: map[uint64]bool{}}
	err = c.Follow(ctx, f.past, f.see)
	if ctx.Err() != nil {
		return nil // that is how it is to end
	}
	return &hinted{err, "go on when it is back: reltool history --follow"}
}

// follower shows events one by one.
type follower struct {
	*tool
	asked

	wanted map[uint64]bool // upgrades that are to be shown
	under  uint64          // the heading that the next step would stand under; 0 for none
	before time.Time
}

func (f *follower) past(list []control.Event) {
	blocks := f.choose(inBlocks(list))
	f.showHistory(blocks, false)
	for _, b := range blocks {
		last := b[len(b)-1]
		f.wanted[b.upgrade()], f.under, f.before = true, b.upgrade(), last.Time
	}
}

func (f *follower) see(e control.Event) {
	if !f.wants(block{e}) && (e.Upgrade == 0 || !f.wanted[e.Upgrade]) {
		return
	}
	f.wanted[e.Upgrade] = true
	switch {
	case f.json:
		f.lines([]control.Event{e})
		return
	case e.Upgrade == 0:
		fmt.Fprintf(f.out, "%s  %s\n", clock(e.Time), f.about(e))
		f.under = 0
		return
	case e.Upgrade != f.under:
		fmt.Fprintf(f.out, "%s  upgrade %d: %s\n", clock(e.Time), e.Upgrade, f.course(e))
		f.before = time.Time{}
	}
	fmt.Fprintln(f.out, stepLine(f.out, brief(e), f.before))
	f.under, f.before = e.Upgrade, e.Time
}

// completeUpgrades offers the numbers of upgrades to the shell.
func (t *tool) completeUpgrades(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := t.dial()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := c.History(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var numbers []string
	for _, b := range slices.Backward(inBlocks(list)) {
		if b.upgrade() > 0 {
			numbers = append(numbers, fmt.Sprintf("%d\t%s, %s", b.upgrade(), arrow(b[0].From, b[0].To), b[len(b)-1].Kind))
		}
	}
	return numbers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeServices offers the names of services to the shell.
func (t *tool) completeServices(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := t.dial()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	s, err := c.Status(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, one := range s.Services {
		names = append(names, one.Name+"\t"+one.Version)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
