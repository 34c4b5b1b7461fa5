package upgrades

import (
	"context"
	"fmt"
	"time"
)

// What a standby needs besides what its service holds for itself now.
const (
	standbyBase   = 16 << 20 // of any process
	memoryMargin  = 32 << 20 // that stays free
	standbyExcess = 4        // a part of its service's memory: garbage of the rehearsal
)

// memory estimates what the standbys of an upgrade need beside what runs: each holds an index of its own; the rows lie
// in files that both versions map.
func (e *Engine) memory(ctx context.Context, d *drawn) (need uint64) {
	for _, c := range d.changes {
		switch {
		case c.Do == doStart:
			need += standbyBase
		case c.live():
			need += standbyBase
			if in := e.serving(ctx, c.Service); in != nil {
				if s, err := status(ctx, in); err == nil {
					need += s.Private + s.Private/standbyExcess
				}
			}
		}
	}
	return need
}

// fits refuses an upgrade whose standbys would not fit, before anything is begun. The way down is never refused: it
// may be the way out.
func (e *Engine) fits(d *drawn) error {
	if d.plan.Down || e.left == nil || d.plan.Memory == 0 {
		return nil
	}
	free, known := e.left()
	if !known || free >= d.plan.Memory+memoryMargin {
		return nil
	}
	return e.refuse(codeMemory,
		fmt.Sprintf("%s needs about %s of memory beside what runs, %s of it to spare, and only %s can be had",
			d.plan.To, size(d.plan.Memory+memoryMargin), size(memoryMargin), size(free)),
		"free memory or raise the limit of the instance (memory.max); two versions live beside each other until the probation ends")
}

// size writes a number of bytes.
func size(n uint64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// memoryBudget is for what is only told, and holds nothing up.
const memoryBudget = 200 * time.Millisecond

// beside tells the memory of both versions of a service, if it is known.
func (f *flight) beside(ctx context.Context, m *move) string {
	if !alive(m.old) || !alive(m.new) {
		return ""
	}
	ctx, stop := context.WithTimeout(ctx, memoryBudget)
	defer stop()
	was, oerr := m.old.Status(ctx)
	is, nerr := m.new.Status(ctx)
	if oerr != nil || nerr != nil || was.RSS == 0 || is.RSS == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s of memory, %s of its own, beside %s and %s)", size(is.RSS), size(is.Private), size(was.RSS), size(was.Private))
}
