package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
)

// now is what ages are counted from.
var now = time.Now

func (t *tool) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "What runs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.dial()
			if err != nil {
				return err
			}
			s, err := c.Status(cmd.Context())
			if err != nil {
				return err
			}
			if t.json {
				return t.out.json(s)
			}
			t.showStatus(s)
			return nil
		},
	}
}

func (t *tool) releasesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "releases", Short: "The numbered releases", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.dial()
			if err != nil {
				return err
			}
			list, err := c.Releases(cmd.Context())
			if err != nil {
				return err
			}
			if t.json {
				return t.out.json(list)
			}
			t.showReleases(list)
			return nil
		},
	}
}

// showStatus prints the daemon in one line, then its services as a table.
func (t *tool) showStatus(s control.Status) {
	fmt.Fprintf(t.out, "theseusd %s in %s, pid %d, up %s\n", s.Version, s.Dir, s.PID, age(s.Started))
	switch {
	case s.Release == "" && len(s.Services) == 0:
		fmt.Fprintln(t.out, "no release yet; build one with: reltool build")
		t.showNotes(s)
		return
	case s.Release == "":
		fmt.Fprintf(t.out, "the first release is not up yet\n\n")
	default:
		fmt.Fprintf(t.out, "release %s (%s)%s\n\n", t.out.paint(bold, s.Release), s.State, underWay(s.Upgrade))
	}
	var tab table
	tab.add(dim, "SERVICE", "VERSION", "STATE", "PID", "UP", "ROWS", "LOG", "CONNS", "RSS", "RESTARTS", "LISTENS")
	for _, service := range s.Services {
		addService(&tab, service)
	}
	tab.print(t.out)
	t.showNotes(s)
	t.showTrials(s.Upgrade)
	for _, service := range s.Services {
		if service.Reason != "" {
			fmt.Fprintln(t.out, t.out.paint(red, join("; ", service.Name+": "+service.Reason, againIn(service))))
		}
	}
}

// againIn says when a service that has failed is started again, "" if nobody knows.
func againIn(s control.ServiceStatus) string {
	left := s.Again.Sub(now())
	if left <= 0 {
		return ""
	}
	return "again in " + seconds(math.Ceil(left.Seconds()))
}

func (t *tool) showNotes(s control.Status) {
	for _, note := range s.Notes {
		fmt.Fprintln(t.out, t.out.paint(yellow, note))
	}
}

func underWay(u *control.Upgrade) string {
	if u == nil {
		return ""
	}
	text := fmt.Sprintf(", upgrade %s: %s", arrow(u.From, u.To), u.Step)
	if u.Held {
		text += ", held: reltool commit or reltool rollback"
	}
	if left := u.Until.Sub(now()); left > 0 {
		text += fmt.Sprintf(", %s left", seconds(left.Seconds()))
	}
	return text
}

func addService(tab *table, s control.ServiceStatus) {
	tab.add(stateInk(s.State), s.Name, s.Version, s.State, pid(s.PID), age(s.Started), count(rows(s.Rows)),
		bytes(s.LogBytes), fmt.Sprint(s.Connections), bytes(s.RSS), fmt.Sprint(s.Restarts), listeners(s.Listeners))
	for _, p := range s.Standbys {
		tab.add(dim, "  "+p.Role, p.Version, "", fmt.Sprint(p.PID), "", "", "lag "+bytes(p.Lag), "", bytes(p.RSS))
	}
}

// pid is a process, or - for none.
func pid(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

func stateInk(state string) ink {
	switch state {
	case "running":
		return ""
	case "failed":
		return red
	}
	return yellow
}

func rows(tables map[string]uint64) (n uint64) {
	for _, r := range tables {
		n += r
	}
	return n
}

func listeners(m map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, name+" "+m[name])
	}
	return strings.Join(list, ", ")
}

// age is the time since at, or - if it is unknown.
func age(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return now().Sub(at).Round(time.Second).String()
}

// showReleases prints the newest first.
func (t *tool) showReleases(list []control.Release) {
	var tab table
	tab.add(dim, "RELEASE", "STATUS", "BUILT", "BY", "SERVICES")
	for _, r := range slices.Backward(list) {
		services := listeners(r.Services)
		switch {
		case r.Aborted:
			services += "  (aborted: " + r.Failed + ")"
		case r.Failed != "":
			services += "  (was rolled back: " + r.Failed + ")"
		}
		tab.add(statusInk(r.Status), r.Name, r.Status, clock(r.Built), r.By, services)
	}
	tab.print(t.out)
}

func statusInk(status string) ink {
	switch status {
	case "permanent":
		return green
	case "current":
		return yellow
	}
	return ""
}

// clock writes an instant in local time.
func clock(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.Local().Format(time.DateTime)
}
