package lab

import (
	"context"
	"fmt"

	"github.com/theseusd/theseus/sdk/supervise"
)

// Watcher is told how a run goes. Its functions may be nil.
type Watcher struct {
	Line     func(line string) // of the story of the plan's own strategy
	Progress func(line string)
}

// Run does what the plan says, under its own strategy first, and then under the others if it compares. self is the program
// that workers of level plugin are: its main function calls [Work]. When the context ends, Run does so soon, with what
// was seen until then and the cause.
func Run(ctx context.Context, p Plan, self string, see Watcher) ([]Trial, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	var trials []Trial
	for i, strategy := range p.strategies() {
		p.Strategy = strategy
		line := see.Line
		if i > 0 {
			line = nil
		}
		t := newTrial(p, self, line, see.Progress)
		err := t.run(ctx)
		if err != nil {
			t.result.Broken = err.Error()
		}
		trials = append(trials, t.result)
		if err != nil {
			return trials, fmt.Errorf("%s: %w", strategy, err)
		}
	}
	return trials, nil
}

// strategies begins with the plan's own.
func (p Plan) strategies() []supervise.Strategy {
	all := []supervise.Strategy{p.Strategy}
	if !p.Compare {
		return all
	}
	for s := supervise.OneForOne; s <= supervise.Dynamic; s++ {
		if s != p.Strategy {
			all = append(all, s)
		}
	}
	return all
}

func newTrial(p Plan, self string, line, progress func(string)) *trial {
	faults := p.faults()
	return &trial{
		plan: p, crew: p.crew(self), diary: newDiary(p, p.drawn(faults)), faults: faults,
		story: story{plan: p, told: orNothing(line)}, progress: orNothing(progress), over: make(chan error, 1),
	}
}

func orNothing(f func(string)) func(string) {
	if f == nil {
		return func(string) {}
	}
	return f
}

func (p Plan) crew(self string) crew {
	switch p.Level {
	case Goroutine:
		return newGoroutines()
	case Plugin:
		return newPrograms(self)
	default:
		return newProcesses()
	}
}
