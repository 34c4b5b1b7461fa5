package host

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/upgrades/release"
)

// sketch is a tree in a line for each node.
func sketch(n control.Node, indent string, b *strings.Builder) {
	fmt.Fprintf(b, "%s%s %s %s%s", indent, n.Name, n.State, n.Version, n.Strategy)
	if n.Intensity != nil {
		fmt.Fprintf(b, " %d/%d in %gs", n.Recent, *n.Intensity, n.Period)
	} else if n.Kind == "worker" {
		fmt.Fprintf(b, " %d of %d", n.Recent, n.Restarts)
	}
	b.WriteString("\n")
	for _, child := range n.Children {
		sketch(child, indent+"  ", b)
	}
}

func TestTreeIsShownAsItStands(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b", "c", "d")
		y.declare(sups{"s": sup(supervise.OneForAll, 4, "b", "t"), "t": sup(supervise.RestForOne, 0, "a")},
			map[string]release.Member{"d": {Restart: supervise.Transient}})
		y.die("b", "signal: killed")
		y.die("d", "exit status 0")
		y.slow["c"] = time.Hour // its supervisor is at work, and is asked all the same
		y.die("c", "signal: killed")
		time.Sleep(2 * time.Second)
		var b strings.Builder
		sketch(y.Tree(), "", &b)
		want := `root running one_for_one
  c restarting 1.0.0 1/3 in 5s
  d ended 1.0.0 0/3 in 5s
  s running one_for_all 1/4 in 5s
    b running 1.0.0 1 of 1
    t running rest_for_one 0/0 in 5s
      a running 1.0.0 1 of 1
`
		if b.String() != want {
			t.Errorf("got\n%s\nwant\n%s", b.String(), want)
		}
		synctest.Wait()
	})
}

// A service of a release before is no longer shown once nothing is left of it.
func TestTreeLeavesOutWhatIsGone(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b")
		y.Take("a")
		y.hull("a").end("exit status 0")
		y.Give("a", nil)
		if n := y.Tree(); len(n.Children) != 1 || n.Children[0].Name != "b" {
			t.Errorf("%+v", n.Children)
		}
	})
}

// What was declared and is not in force yet, as a supervisor is at work, is told apart from what is.
func TestTreeThatIsShownIsTheOneInForce(t *testing.T) {
	inYard(t, func(y *yard) {
		y.serve("a", "b")
		y.slow["a"] = time.Minute
		y.die("a", "signal: killed")
		y.declare(sups{"s": sup(supervise.OneForAll, 4, "a", "b")}, nil)
		shown := func() (string, []string) {
			var b strings.Builder
			n := y.Tree()
			sketch(n, "", &b)
			return b.String(), n.Pending
		}
		const before = "root running one_for_one\n  a restarting 1.0.0 1/3 in 5s\n  b running 1.0.0 0/3 in 5s\n"
		got, pending := shown()
		if got != before || len(pending) != 1 || pending[0] != "supervisor s is new: one_for_all, at most 4 restarts within 5s, of a, b" {
			t.Errorf("got\n%s%q\nwant\n%s", got, pending, before)
		}
		time.Sleep(2 * time.Minute)
		const after = "root running one_for_one\n  s running one_for_all 0/4 in 5s\n    a running 1.0.0 0 of 1\n    b running 1.0.0 0 of 0\n"
		if got, pending := shown(); got != after || pending != nil {
			t.Errorf("got\n%s%q\nwant\n%s", got, pending, after)
		}
	})
}
