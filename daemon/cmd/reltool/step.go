package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// stepLine is one step that is done; before is when the step before it was.
func stepLine(s screen, e control.Event, before time.Time) string {
	took := ""
	if d := e.Time.Sub(before); !before.IsZero() && d >= 0 {
		took = seconds(d.Seconds())
	}
	line := fmt.Sprintf("  %s %8s  %s", s.paint(kindInk(e.Kind), fmt.Sprintf("%-14s", e.Kind)), took, saying(e))
	return strings.TrimRight(line, " ")
}

// saying is what an event says beside its kind and its time.
func saying(e control.Event) string {
	text := e.Text
	if strings.HasPrefix(text, e.Service) {
		e.Service = ""
	}
	return join("  ", e.Service, text, facts(e), label("because: ", e.Reason), label("hint: ", e.Hint))
}

// facts are the further things that an event knows: pauses of a switch, or whatever it is.
func facts(e control.Event) string {
	if p := pause(e); p != "" || e.Kind == "permanent" {
		return p
	}
	var list []string
	for _, k := range slices.Sorted(maps.Keys(e.Detail)) {
		list = append(list, fmt.Sprintf("%s=%v", k, e.Detail[k]))
	}
	return strings.Join(list, " ")
}

// pause says how long nobody served at the switch before a probation, service by service; nothing if e is no
// probation or if none was measured.
func pause(e control.Event) string {
	if e.Kind != "probation" && e.Kind != "rolled_back" {
		return ""
	}
	var list []string
	for _, service := range slices.Sorted(maps.Keys(e.Detail)) {
		if s, ok := e.Detail[service].(float64); ok {
			list = append(list, service+" "+seconds(s))
		}
	}
	return label("pause: ", strings.Join(list, ", "))
}

func label(name, text string) string {
	if text == "" {
		return ""
	}
	return name + text
}

// join leaves out what is empty.
func join(by string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), by)
}

func kindInk(kind string) ink {
	switch kind {
	case "permanent", "booted", "restarted", "daemon_replaced":
		return green
	case "aborted", "rolled_back", "rolling_back", "crashed", "failed", "lost", "daemon_not_replaced":
		return red
	case "committed", "probation", "switching":
		return yellow
	}
	return ""
}
