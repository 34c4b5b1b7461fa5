package release

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/theseusd/theseus/sdk/supervise"
)

// Changes says for people what becomes of a tree.
func (s Supervision) Changes(to Supervision) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(to.Supervisors)) {
		now := to.Supervisors[name]
		if was, there := s.Supervisors[name]; there {
			lines = append(lines, was.changes(name, now)...)
			continue
		}
		lines = append(lines, fmt.Sprintf("supervisor %s is new: %s, at most %s, of %s",
			name, now.Strategy, now.Limits(), strings.Join(now.Children, ", ")))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Supervisors)) {
		if _, stays := to.Supervisors[name]; !stays {
			lines = append(lines, fmt.Sprintf("supervisor %s goes; its children go on", name))
		}
	}
	return append(lines, s.members(to)...)
}

func (s Supervisor) changes(name string, now Supervisor) (lines []string) {
	add := func(format string, args ...any) {
		lines = append(lines, fmt.Sprintf("supervisor %s: ", name)+fmt.Sprintf(format, args...))
	}
	if s.Strategy != now.Strategy {
		add("%s, was %s", now.Strategy, s.Strategy)
	}
	if s.Limits() != now.Limits() {
		add("at most %s, was %s", now.Limits(), s.Limits())
	}
	if s.Restart != now.Restart {
		add("%s, was %s", now.Restart, s.Restart)
	}
	if s.AutoShutdown != now.AutoShutdown {
		add("auto_shutdown %s, was %s", now.AutoShutdown, s.AutoShutdown)
	}
	if s.Significant != now.Significant {
		add("%s", significance(now.Significant))
	}
	if !slices.Equal(s.Children, now.Children) {
		add("of %s, was of %s", strings.Join(now.Children, ", "), strings.Join(s.Children, ", "))
	}
	return lines
}

// members says how services change that are not, or no longer, as services are by default.
func (s Supervision) members(to Supervision) (lines []string) {
	names := maps.Clone(s.Services)
	if names == nil {
		names = map[string]Member{}
	}
	maps.Copy(names, to.Services)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, now := s.Services[name], to.Services[name]
		if was.Restart != now.Restart {
			lines = append(lines, fmt.Sprintf("%s is %s, was %s", name, now.Restart, was.Restart))
		}
		if was.Shutdown.Std() != now.Shutdown.Std() {
			lines = append(lines, fmt.Sprintf("%s has a shutdown of %s, was %s", name, now.Shutdown, was.Shutdown))
		}
		if was.Significant != now.Significant {
			lines = append(lines, name+" is "+significance(now.Significant))
		}
		if was.Liveness.Std() != now.Liveness.Std() {
			lines = append(lines, fmt.Sprintf("%s has a liveness of %s, was %s", name, now.Liveness, was.Liveness))
		}
	}
	return lines
}

func significance(is bool) string {
	if is {
		return "significant to its supervisor"
	}
	return "significant no longer"
}

// Restarted is true if a service, as a member, is started again after its end.
func (m Member) Restarted(orderly bool) bool {
	return m.Restart == supervise.Permanent || (m.Restart == supervise.Transient && !orderly)
}
