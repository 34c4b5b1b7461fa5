package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
)

func (t *tool) historyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "history", Short: "Who did what, when, how long each step took, and how it ended", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.dial()
			if err != nil {
				return err
			}
			list, err := c.History(cmd.Context())
			if err != nil {
				return err
			}
			if t.json {
				return t.out.json(list)
			}
			t.showHistory(list)
			return nil
		},
	}
}

// showHistory prints each upgrade with its steps, everything else as one line, oldest first.
func (t *tool) showHistory(list []control.Event) {
	var before control.Event
	for i, e := range list {
		if e.Upgrade == 0 {
			fmt.Fprintf(t.out, "%s  %s\n", clock(e.Time), about(e))
			before = e
			continue
		}
		if e.Upgrade != before.Upgrade {
			fmt.Fprintf(t.out, "%s  %s\n", clock(e.Time), t.heading(e, ofUpgrade(list[i:], e.Upgrade)))
			before.Time = time.Time{}
		}
		fmt.Fprintln(t.out, stepLine(t.out, e, before.Time))
		before = e
	}
}

// about is a line for what is no upgrade.
func about(e control.Event) string {
	e.Service = ""
	return join(": ", join(" ", e.To, e.Kind, label("by ", e.By)), saying(e))
}

// heading says from where to where, by whom, and how it ended.
func (t *tool) heading(e control.Event, all []control.Event) string {
	last := all[len(all)-1]
	end := t.out.paint(kindInk(last.Kind), last.Kind) + " after " + seconds(last.Time.Sub(e.Time).Seconds())
	return fmt.Sprintf("upgrade %d: %s: %s", e.Upgrade,
		join(" ", t.out.paint(bold, arrow(e.From, e.To)), label("by ", e.By)), join(", ", end, pauseOf(all)))
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

// ofUpgrade are the events of one upgrade.
func ofUpgrade(list []control.Event, id uint64) (all []control.Event) {
	for _, e := range list {
		if e.Upgrade == id {
			all = append(all, e)
		}
	}
	return all
}
