package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/theseusd/theseus/sdk/control"
)

// showPlan prints a plan and what to type to apply it.
func (t *tool) showPlan(p control.Plan, command string) error {
	if t.json {
		return t.out.json(p)
	}
	t.showHead(p)
	fmt.Fprintln(t.out)
	t.showSteps(p)
	fmt.Fprintln(t.out)
	t.showCost(p)
	fmt.Fprintf(t.out, "nothing was changed; apply it with: %s\n", t.again(command+flags(p)))
	return nil
}

// again is a command to type next: at the same instance, if that was named.
func (t *tool) again(command string) string {
	if t.dir == "" {
		return command
	}
	return strings.Replace(command, "reltool ", "reltool --dir "+t.dir+" ", 1)
}

func applyWith(asked string) string {
	if asked == "" {
		return "reltool upgrade --apply"
	}
	return "reltool upgrade " + asked + " --apply"
}

// flags are those that the plan was asked for with.
func flags(p control.Plan) string {
	switch {
	case p.Hold:
		return " --hold"
	case p.NoProbation:
		return " --no-probation"
	}
	return ""
}

// showHead prints the path, and what to know before going it.
func (t *tool) showHead(p control.Plan) {
	if t.json {
		return
	}
	word := "upgrade"
	if p.Down {
		word = "downgrade"
	}
	path := p.Path
	if len(path) == 0 {
		path = []string{p.From, p.To}
	}
	fmt.Fprintf(t.out, "%s %s\n", word, t.out.paint(bold, strings.Join(path, " -> ")))
	for _, service := range slices.Sorted(maps.Keys(p.Paths)) {
		if way := p.Paths[service]; len(way) > 2 {
			fmt.Fprintf(t.out, "  %s by way of %s\n", service, strings.Join(way, " -> "))
		}
	}
	for _, w := range p.Warnings {
		fmt.Fprintln(t.out, t.out.paint(yellow, "warning: "+w))
	}
}

// showSteps numbers the steps; the commit point is a line of its own, after the step that carries it.
func (t *tool) showSteps(p control.Plan) {
	var tab table
	for i, s := range p.Steps {
		tab.add("", fmt.Sprintf("%3d", i+1), s.Name, dash(s.Service), s.Text)
	}
	lines := &strings.Builder{}
	tab.print(screen{Writer: lines})
	for i, line := range strings.Split(strings.TrimSuffix(lines.String(), "\n"), "\n") {
		fmt.Fprintln(t.out, line)
		if i < len(p.Steps) && p.Steps[i].Commit {
			t.showCommit(p)
		}
	}
}

func (t *tool) showCommit(p control.Plan) {
	fmt.Fprintln(t.out, t.out.paint(yellow, "  ━━━ commit point ━━━ a failure before it: the old version serves on; after it: back by the same switch"))
	if p.NoReturn {
		fmt.Fprintln(t.out, t.out.paint(red, "      IRREVERSIBLE: past this point no way back keeps the writes, and nothing goes back by itself"))
	}
}

// showCost prints the estimates.
func (t *tool) showCost(p control.Plan) {
	rows := "no rows migrate"
	if p.Rows > 0 {
		rows = "about " + several(p.Rows, "row migrates", "rows migrate")
	}
	probation := "no probation"
	switch {
	case p.Hold:
		probation = "then a probation until reltool commit or reltool rollback"
	case p.Probation > 0:
		probation = "then " + seconds(p.Probation) + " of probation"
	}
	if p.NoProbation {
		probation = t.out.paint(red, "NO PROBATION: nothing goes back by itself")
	}
	if p.Memory > 0 {
		rows += fmt.Sprintf("; about %s of memory for the standbys", bytes(p.Memory))
	}
	fmt.Fprintf(t.out, "%s; about %s until the switch, %s\n", rows, seconds(max(p.Estimate, 0.1)), probation)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
