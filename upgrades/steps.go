package upgrades

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// steps lists what will be done, in order, for people to read.
func steps(d *drawn, rows map[string]uint64) []control.PlanStep {
	list := []control.PlanStep{{Name: "verify", Text: "check packages, schemas and requirements of " + d.plan.To}}
	for _, c := range d.changes {
		list = append(list, c.aroundSteps(d.plan.To)...)
		list = append(list, prepareSteps(d.plan, c, rows[c.Service])...)
	}
	decided := false
	for _, c := range d.changes {
		commit := !decided && c.commits(d.changes[len(d.changes)-1].Service)
		decided = decided || commit
		list = append(list, control.PlanStep{Service: c.Service, Name: "switch", Text: switchText(d.plan, c), Commit: commit})
	}
	list = append(list, treeSteps(d.tree)...)
	if len(d.changes) == 0 {
		list = append(list, control.PlanStep{Name: "switch", Text: d.plan.To + " is in charge; its services are those of " + d.plan.From, Commit: true})
	}
	if !d.plan.NoReturn && !d.plan.NoProbation && (len(d.changes) > 0 || d.plan.Hold) {
		list = append(list, control.PlanStep{Name: "probation", Text: probationText(d)})
	}
	list = append(list, control.PlanStep{Name: "make_permanent", Text: permanentText(d)})
	for _, c := range d.changes {
		list = append(list, c.endSteps()...)
	}
	return list
}

func prepareSteps(p control.Plan, c change, rows uint64) []control.PlanStep {
	var list []control.PlanStep
	add := func(name, text string) {
		list = append(list, control.PlanStep{Service: c.Service, Name: name, Text: text})
	}
	if c.Down && len(c.migrates()) > 0 {
		add("shadow", fmt.Sprintf("%s %s takes %s down and up again, compares, and writes them in the shapes of %s as well",
			c.Service, c.From, plural(rows, "row"), c.To))
	}
	if c.live() || c.Do == doStart {
		add("start", startText(p, c))
	}
	if c.Do == doUpdate {
		add("rehearse", rehearseText(c, rows))
	}
	if c.live() {
		add("follow", fmt.Sprintf("connections travel ahead; wait until %s %s is less than %d KiB behind",
			c.Service, c.To, maxLag>>10))
	}
	return list
}

func startText(p control.Plan, c change) string {
	if c.Do == doStart {
		return fmt.Sprintf("start %s %s, which is new", c.Service, c.To)
	}
	return fmt.Sprintf("start %s %s as a standby beside %s; it reads the state log", c.Service, c.toName(p.To), c.fromName(p.From))
}

func rehearseText(c change, rows uint64) string {
	tables := c.migrates()
	if len(tables) == 0 {
		return "no table changes its shape: read every row once"
	}
	if c.Down {
		return fmt.Sprintf("check %s in the shapes of %s", plural(rows, "row"), c.To)
	}
	names := make([]string, 0, len(tables))
	for _, t := range tables {
		names = append(names, fmt.Sprintf("%s %d -> %d", t.Table, t.From, t.To))
	}
	return fmt.Sprintf("take %s up and down again, and compare: %s", plural(rows, "row"), strings.Join(names, ", "))
}

func switchText(p control.Plan, c change) string {
	switch c.Do {
	case doStart:
		return fmt.Sprintf("%s %s serves", c.Service, c.To)
	case doStop:
		return fmt.Sprintf("%s %s is to go", c.Service, c.From)
	case doRestart:
		return fmt.Sprintf("stop %s %s, then start %s: its manifest says restart, connections are cut",
			c.Service, c.From, c.To)
	}
	text := fmt.Sprintf("%s %s finishes what is in hand (up to %s) and lets go, %s serves",
		c.Service, c.fromName(p.From), c.Drain, c.toName(p.To))
	if c.Irreversible {
		text += "; no way back keeps the writes"
	}
	return text
}

func probationText(d *drawn) string {
	length := span(seconds(d.plan.Probation))
	if d.plan.Hold {
		length = "held until reltool commit or reltool rollback"
	}
	text := fmt.Sprintf("%s: %s serves and is watched; back to %s if it dies, calls itself unhealthy or misses a gate, no write lost",
		length, d.plan.To, orNothing(d.plan.From))
	for _, c := range d.changes {
		if gates := c.Limits.String(); gates != "" {
			text += fmt.Sprintf("; %s: %s", c.Service, gates)
		}
	}
	return text
}

func permanentText(d *drawn) string {
	var gone []string
	for _, c := range d.changes {
		if c.Old != "" {
			gone = append(gone, c.Service+" "+c.fromName(d.plan.From))
		}
	}
	text := d.plan.To + " is permanent"
	if d.plan.NoProbation {
		text += " at once, nobody watches it"
	}
	if len(gone) == 0 {
		return text
	}
	return fmt.Sprintf("%s, %s ends", text, strings.Join(gone, ", "))
}

// count writes a number with commas.
func count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural counts things.
func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return count(n) + " " + what + "s"
}

func span(d time.Duration) string { return d.Round(time.Millisecond).String() }
