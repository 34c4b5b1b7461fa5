package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// treeCommand is the word for the supervision tree. No service's verbs stand behind it: the daemon answers.
const treeCommand = "tree"

const treeHelp = `theseus tree [--json] [--dir DIR] shows who supervises whom, as it stands.

What no supervisor of theseus.toml has as a child is right under the root. Children start in the order shown, and stop the
other way round.

  STATE     starting, running, restarting, failed, or ended: by itself, and it is not to be started again
  RESTARTS  1/3 in 5s: one within the last 5 s, and more than 3 are a failure; a plain number where the supervisor
            above counts for all of its children
  UPTIME    since the last start
  MAILBOX   of a supervisor: ends of children that it has not seen yet; of a service: messages that wait in the mailboxes
            of its processes, - if it has none

Examples:
  theseus tree
  watch theseus tree
  theseus tree --json | jq -r '.. | objects | select(.state? == "failed") | .name'
`

// tree prints the supervision tree.
func (c *call) tree(ctx context.Context) int {
	c.args = c.args[1:]
	asJSON := false
	for len(c.args) > 0 {
		switch arg := c.args[0]; {
		case arg == "--json":
			asJSON, c.args = true, c.args[1:]
		case strings.HasPrefix(arg, "-"):
			if wrong := c.flags(); wrong != "" {
				return c.usageTree(wrong)
			}
		default:
			return c.usageTree(fmt.Sprintf("tree takes no argument %q", arg))
		}
	}
	if c.help {
		fmt.Fprint(c.out, treeHelp)
		return done
	}
	n, err := c.fetchTree(ctx)
	switch {
	case err != nil:
		return c.fail(err)
	case asJSON:
		return c.treeJSON(n)
	}
	c.showTree(n, terminal(c.out))
	return done
}

func (c *call) usageTree(wrong string) int {
	c.say(wrong)
	c.say("usage: theseus tree [--json] [--dir DIR]")
	return wrongUsage
}

func (c *call) fetchTree(ctx context.Context) (control.Node, error) {
	d, err := control.Dial(c.dir)
	if err != nil {
		return control.Node{}, err
	}
	defer d.Close()
	return d.Tree(ctx)
}

func (c *call) treeJSON(n control.Node) int {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(n); err != nil {
		return c.fail(err)
	}
	return done
}

// branches are how a tree is drawn: before a child, before the last one, and under each of them.
type branches struct{ child, last, under, none string }

var (
	boxes = branches{"├─ ", "└─ ", "│  ", "   "}
	ascii = branches{"|- ", "`- ", "|  ", "   "}
)

// showTree draws the tree, and below it why something does not run.
func (c *call) showTree(root control.Node, terminal bool) {
	b := ascii
	if terminal {
		b = boxes
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSTATE\tVERSION\tSTRATEGY\tRESTARTS\tUPTIME\tMAILBOX")
	var reasons []string
	draw(w, root, "", "", b, &reasons)
	w.Flush()
	for _, reason := range reasons {
		fmt.Fprintln(c.out, reason)
	}
	for _, line := range root.Pending {
		fmt.Fprintln(c.out, "to come, when a supervisor is no longer at work: "+line)
	}
}

func draw(w io.Writer, n control.Node, head, under string, b branches, reasons *[]string) {
	fmt.Fprintf(w, "%s%s\t%s\t%s\t%s\t%s\t%s\t%s\n", head, n.Name, n.State, dash(n.Version), dash(n.Strategy), restarts(n), uptime(n), mailbox(n))
	switch {
	case n.Reason != "":
		*reasons = append(*reasons, n.Name+": "+n.Reason)
	case n.LastEnd != "":
		*reasons = append(*reasons, n.Name+": restarted, because: "+n.LastEnd)
	}
	for i, child := range n.Children {
		if i == len(n.Children)-1 {
			draw(w, child, under+b.last, under+b.none, b, reasons)
			continue
		}
		draw(w, child, under+b.child, under+b.under, b, reasons)
	}
}

// restarts is what counts against what is allowed, or only how many there were.
func restarts(n control.Node) string {
	if n.Intensity == nil {
		return strconv.Itoa(n.Recent)
	}
	period := time.Duration(n.Period * float64(time.Second))
	return fmt.Sprintf("%d/%d in %s", n.Recent, *n.Intensity, short(period))
}

// short is a span without what is 0 at its end: 5m, not 5m0s.
func short(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// now is what ages are counted from.
var now = time.Now

func uptime(n control.Node) string {
	if n.Started.IsZero() || !slices.Contains([]string{"running", "starting"}, n.State) {
		return "-"
	}
	return now().Sub(n.Started).Round(time.Second).String()
}

func mailbox(n control.Node) string {
	if n.Mailbox == nil {
		return "-"
	}
	return strconv.FormatUint(*n.Mailbox, 10)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
