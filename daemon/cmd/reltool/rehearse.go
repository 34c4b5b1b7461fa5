package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
)

func (t *tool) rehearseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rehearse [RELEASE]",
		Short: "Take the live rows up to RELEASE and down again; switch nothing",
		Long: `Starts each new version of RELEASE, by default of the newest one unless that has failed, as a standby beside the one that
serves, has it take every live row up and down again, and ends it. On the way down the version that serves does it
without writing. Nothing is switched, and the rehearsal ends when reltool does.`,
		Example: `  reltool rehearse            # would the newest release take every row?
  reltool rehearse v1         # and is there a way back to v1?`,
		Args:              atMostOneRelease,
		ValidArgsFunction: t.completeReleases,
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.rehearse(cmd.Context(), first(args))
		},
	}
}

func (t *tool) rehearse(ctx context.Context, to string) error {
	c, err := t.dial()
	if err != nil {
		return err
	}
	see, finish := t.viewer()
	var found []control.Event
	err = c.Rehearse(ctx, control.UpgradeRequest{To: to}, func(e control.Event) {
		if e.Kind == "rehearsed" {
			found = append(found, e)
		}
		see(e)
	})
	finish()
	if !t.json && len(found) > 0 {
		t.showRehearsed(found, err)
	}
	switch {
	case ctx.Err() != nil:
		return &hinted{errors.New("interrupted; the rehearsal has ended, nothing was changed"), ""}
	case err != nil:
		return err
	}
	t.end("rehearsal passed; nothing was changed")
	return nil
}

// showRehearsed prints what each service has shown. The reason that is said at the end too is not said twice.
func (t *tool) showRehearsed(list []control.Event, failure error) {
	var tab table
	tab.add(dim, "SERVICE", "VERSION", "ROWS", "CHANGED", "LOSSY", "TOOK", "RESULT")
	for _, e := range list {
		what, colour := e.Text, ink("")
		if e.Reason != "" {
			what, colour = e.Reason, red
			if failure != nil && strings.Contains(failure.Error(), e.Reason) {
				what = "failed"
			}
		}
		tab.add(colour, e.Service, dash(fact(e, "version")), number(e, "rows"), number(e, "changed"), number(e, "lossy"),
			seconds(e.Took), what)
	}
	tab.print(t.out)
}

// fact is one detail of an event as text.
func fact(e control.Event, name string) string {
	if v, ok := e.Detail[name].(string); ok {
		return v
	}
	return ""
}

// number is a count among the details of an event, which came as JSON.
func number(e control.Event, name string) string {
	n, ok := e.Detail[name].(float64)
	if !ok {
		return "-"
	}
	return count(uint64(n))
}
