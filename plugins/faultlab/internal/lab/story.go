package lab

import (
	"fmt"
	"strings"
)

// maxTold is how many crashes a story tells one by one.
const maxTold = 20

// maxLines is how many different ones are told of more than that.
const maxLines = 30

// story is told of what was seen.
type story struct {
	plan   Plan
	lines  []string
	counts map[string]int // of lines, where there are too many to tell
	told   func(line string)
}

// tell adds a line. Of many crashes, each line is told once, at the end, with its number.
func (s *story) tell(line string) {
	s.lines = append(s.lines, line)
	s.told(line)
}

// crash tells what followed from a fault.
func (s *story) crash(line string) {
	if s.plan.Crashes <= maxTold {
		s.tell(line)
		return
	}
	if s.counts == nil {
		s.counts = map[string]int{}
	}
	if s.counts[line]++; s.counts[line] == 1 {
		s.lines = append(s.lines, line)
	}
}

// sumUp tells what crash has collected.
func (s *story) sumUp() {
	if s.counts == nil {
		return
	}
	all := s.lines
	s.lines = nil
	for i, line := range all {
		if i == maxLines && len(all) > maxLines+1 {
			s.tell(fmt.Sprintf("and so on, %d more stories like these", len(all)-i))
			return
		}
		if n := s.counts[line]; n > 1 {
			line = fmt.Sprintf("%s, %d times", line, n)
		}
		s.tell(line)
	}
}

// hurt is the first half of a line.
func (p Plan) hurt(name string) string {
	switch p.Fault {
	case Exit:
		return "worker " + name + " exited"
	case Kill9:
		return "worker " + name + " was killed"
	case Hang:
		return "worker " + name + " hung, was killed after " + Patience.String()
	case Leak:
		return fmt.Sprintf("worker %s leaked %d goroutines, was killed", name, Leaked)
	default:
		return "worker " + name + " crashed"
	}
}

// restarted is the other half, for the workers that came up again.
func (p Plan) restarted(victim int, list []int) string {
	how := ""
	switch p.Fault {
	case SlowStart:
		how = " after a slow start of " + SlowFor.String()
	case StartError:
		how = fmt.Sprintf(" after %d starts that failed", Refusals)
	}
	switch {
	case len(list) == 0:
		return "not restarted"
	case len(list) == 1 && list[0] == victim:
		return "restarted" + how
	case len(list) == p.Workers:
		return "all workers restarted" + how
	}
	var names []string
	for _, i := range list {
		if i != victim {
			names = append(names, p.Names[i])
		}
	}
	if len(names) > 3 {
		return fmt.Sprintf("restarted%s, with %d after it", how, len(names))
	}
	return "restarted" + how + ", with " + strings.Join(names, " and ")
}

// window says how near the supervisor is to giving up.
func (p Plan) window(inside int) string {
	if !p.Escalate || p.Crashes > maxTold {
		return ""
	}
	return fmt.Sprintf(" (restart %d of %d in %s)", inside, p.Intensity, p.Period)
}

// unharmed tells who ran all the time.
func (s *story) unharmed(names []string) {
	if len(names) > 8 {
		s.tell(fmt.Sprintf("%d other workers unaffected", len(names)))
		return
	}
	for _, name := range names {
		s.tell("worker " + name + " unaffected")
	}
}

// remains tells what Go cannot end.
func (s *story) remains(r Remains) {
	what := "handler"
	if s.plan.Level == Goroutine {
		what = "goroutine"
	}
	if r.Orphans > 0 {
		it := "it"
		if r.Orphans > 1 {
			it = "them"
		}
		s.tell(fmt.Sprintf("%s that hung: Go cannot end %s, orphaned until the lab let go", count(r.Orphans, what), it))
	}
	if r.Leaked > 0 {
		s.tell(fmt.Sprintf("%s leaked: they outlived their workers until the lab let go", count(r.Leaked, "goroutine")))
	}
	if s.plan.Level == Plugin && (s.plan.Fault == Hang || s.plan.Fault == Leak) {
		s.tell("nothing is left: the kernel ends a process and takes back all it had")
	}
}

func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "sh"):
		return fmt.Sprintf("%d %ses", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
