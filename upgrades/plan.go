package upgrades

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// defaultRate is how many rows a second are rehearsed where nothing was measured yet.
const defaultRate = 500_000

// drawn is a plan with all that acting on it needs.
type drawn struct {
	plan    control.Plan
	changes []change
	from    packages
	to      packages
	tree    []string // how it changes
	after   uint64   // upgrades begun before
}

// Plan says what an upgrade to a release would do, or a rollback, and changes nothing. An empty To means the newest release
// above the one that serves, and for a rollback the one that it leads to.
func (e *Engine) Plan(ctx context.Context, req control.PlanRequest) (control.Plan, error) {
	if f := e.current(); f != nil && req.Rollback {
		return e.planBack(f, req.To)
	}
	if req.Rollback {
		to, err := e.targetBack(req.To)
		if err != nil {
			return control.Plan{}, err
		}
		req.To = to
	}
	d, err := e.drawPlan(ctx, req)
	if err != nil {
		return control.Plan{}, err
	}
	return d.plan, nil
}

func (e *Engine) drawPlan(ctx context.Context, req control.PlanRequest) (*drawn, error) {
	from, to, down, err := e.target(req.To)
	if err != nil {
		return nil, err
	}
	d := &drawn{plan: control.Plan{From: from, To: to, Path: path(from, to), Down: down}}
	if d.from, err = e.load(from); err != nil {
		return nil, err
	}
	if d.to, err = e.load(to); err != nil {
		return nil, err
	}
	if err := e.checkSet(d.to); err != nil {
		return nil, err
	}
	if err := e.checkTrust(d.from, d.to); err != nil {
		return nil, err
	}
	if d.changes, err = e.drawChanges(d.from, d.to, down); err != nil {
		return nil, err
	}
	d.plan.Warnings = e.noWayBack(d.from, d.to)
	d.tree = e.treeChanges(e.treeOf(from), e.treeOf(to))
	e.read(func(r *registry) { d.after = r.upgrades })
	d.plan.Hold, d.plan.NoProbation = req.Hold, req.NoProbation
	e.fill(ctx, d)
	return d, e.checkEnd(d.plan)
}

func path(from, to string) []string {
	if from == "" {
		return []string{to}
	}
	return []string{from, to}
}

// target resolves the name of a release and compares it with the one that serves.
func (e *Engine) target(name string) (from, to string, down bool, err error) {
	var now, then, bad *numbered
	var names []string
	e.read(func(r *registry) {
		now, then, names = r.find(r.serving), r.find(name), r.names()
		if name == "" {
			then, bad = r.newest()
		}
		from = r.serving
	})
	switch {
	case then == nil && bad != nil:
		err = e.refuse(codeNoRelease, bad.name+" was "+bad.how()+": "+bad.failed,
			"build a better one with: reltool build; to try this one again: reltool upgrade "+bad.name+" --apply")
	case len(names) == 0:
		err = e.refuse(codeNoRelease, "there is no release yet", "build one with: reltool build")
	case then == nil && name == "":
		err = e.refuse(codeNoRelease, "there is no release above "+from, "build one with: reltool build")
	case then == nil:
		err = e.refuse(codeNoRelease, "there is no release "+name, "the releases are "+strings.Join(names, ", "))
	case then == now:
		err = e.refuse(codeSame, "release "+from+" is what runs now", "the releases are "+strings.Join(names, ", "))
	default:
		to, down = then.name, now != nil && then.number < now.number
	}
	return from, to, down, err
}

// how says what became of a release that has failed.
func (n *numbered) how() string {
	if n.aborted {
		return "aborted"
	}
	return "rolled back"
}

func (r *registry) names() []string {
	list := make([]string, 0, len(r.releases))
	for _, n := range r.releases {
		if !n.removed {
			list = append(list, n.name)
		}
	}
	return list
}

// fill adds to a plan what follows from its changes.
func (e *Engine) fill(ctx context.Context, d *drawn) {
	rows, paths := map[string]uint64{}, map[string][]string{}
	d.plan.Paths = paths
	for _, c := range d.changes {
		n := e.rows(ctx, c)
		rows[c.Service] = n
		d.plan.Rows += n
		d.plan.Estimate += e.estimate(c, n)
		d.plan.NoReturn = d.plan.NoReturn || c.Irreversible
		if len(c.Path) > 0 {
			paths[c.Service] = c.Path
		}
		d.plan.Probation = max(d.plan.Probation, c.Probation.Seconds())
	}
	d.plan.Memory = e.memory(ctx, d)
	if d.plan.NoReturn || d.plan.NoProbation || d.plan.Hold {
		d.plan.Probation = 0
	}
	d.plan.Steps = steps(d, rows)
	d.plan.Digest = digest(d)
}

// rows counts the rows that migrate; 0 if nobody can tell.
func (e *Engine) rows(ctx context.Context, c change) uint64 {
	tables := c.migrates()
	if len(tables) == 0 {
		return 0
	}
	var n uint64
	for _, in := range e.host.Instances(c.Service) {
		if s, err := status(ctx, in); err == nil && s.Role == Active {
			for _, t := range tables {
				n += s.Rows[t.Table]
			}
		}
	}
	return n
}

// estimate is how many seconds the rows of one service take until the switch.
func (e *Engine) estimate(c change, rows uint64) float64 {
	rate := float64(defaultRate)
	e.read(func(r *registry) {
		if s := r.rates[c.Service]; s.Rows > 0 && s.Seconds > 0 {
			rate = float64(s.Rows) / s.Seconds
		}
	})
	if c.Down {
		rate /= 2 // every row is written in the older shape first
	}
	return float64(rows) / rate
}

// digest names a plan: the releases, the packages, what is done to each service, and how the probation ends: who has seen
// that it waits for a person must not find it over. Rows and times may change between the look and the leap; these may
// not. It also names the moment, by the upgrades before it: a request that was done once cannot be played back.
func digest(d *drawn) string {
	names := make([][2]string, 0, len(d.plan.Steps))
	for _, s := range d.plan.Steps {
		names = append(names, [2]string{s.Service, s.Name})
	}
	text, err := json.Marshal(struct {
		From, To          string
		Changes           []change
		Steps             [][2]string
		Hold, NoProbation bool     `json:",omitempty"`
		Tree              []string `json:",omitempty"`
		After             uint64
	}{d.plan.From, d.plan.To, d.changes, names, d.plan.Hold, d.plan.NoProbation, d.tree, d.after})
	if err != nil {
		panic(fmt.Sprintf("upgrades: a plan that is no JSON: %v", err)) // plain data always is
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}
