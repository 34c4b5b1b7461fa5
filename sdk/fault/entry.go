package fault

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// entry is what is to happen at one point.
type entry struct {
	process string // any if empty
	point   string // * is any
	nth     int    // counted in this process, from 1
	signal  syscall.Signal
	trace   string // a file
}

func (e entry) fits(process, point string) bool {
	return (e.process == "" || e.process == process) && (e.point == "*" || e.point == point)
}

// parse reads a list of entries.
func parse(text string) (list []entry, err error) {
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		e, err := parseOne(one)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

func parseOne(text string) (e entry, err error) {
	where, action, ok := strings.Cut(text, "=")
	if !ok {
		return e, fmt.Errorf("%q: want point=kill|stop|trace:FILE", text)
	}
	if process, point, named := strings.Cut(where, "@"); named {
		e.process, where = process, point
	}
	point, nth, counted := strings.Cut(where, ":")
	if e.point, e.nth = point, 1; counted {
		if e.nth, err = strconv.Atoi(nth); err != nil || e.nth < 1 {
			return e, fmt.Errorf("%q: %q is no count", text, nth)
		}
	}
	if !known(point) {
		return e, fmt.Errorf("%q: there is no point %q", text, point)
	}
	return e, e.will(action)
}

func (e *entry) will(action string) error {
	file, trace := strings.CutPrefix(action, "trace:")
	switch {
	case action == "kill":
		e.signal = syscall.SIGKILL
	case action == "stop":
		e.signal = syscall.SIGSTOP
	case trace && file != "":
		e.trace = file
	default:
		return fmt.Errorf("%q: want kill, stop or trace:FILE", action)
	}
	return nil
}

// known tells whether a point of that name is in the table.
func known(name string) bool {
	if name == "*" {
		return true
	}
	for _, p := range Points {
		if p.Name == name || strings.HasSuffix(p.Name, "/") && strings.HasPrefix(name, p.Name) {
			return true
		}
	}
	return false
}
