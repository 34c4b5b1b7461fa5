package release

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/theseusd/theseus/sdk/supervise"
	"github.com/theseusd/theseus/upgrades/appup"
)

// Requires are the services of a release, each with those that it requires.
type Requires map[string][]string

// TreeError says what is wrong with a supervision tree. Nothing was started.
type TreeError struct {
	Path string // of the key in theseus.toml
	What string
	Hint string // what to write instead; may be empty
}

func (e *TreeError) Error() string {
	if e.Hint == "" {
		return e.What
	}
	return e.What + "; " + e.Hint
}

func childrenOf(name string) string { return "supervisor." + name + ".children" }

func childOf(name, child string) string { return childrenOf(name) + "." + child }

// Check finds what is wrong with a tree whatever the services are. The error is a *TreeError.
func (s Supervision) Check() error {
	parents := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(s.Supervisors)) {
		if name == Root {
			return &TreeError{"supervisor." + name, "no supervisor can be called root", "root is above all others, and is not declared"}
		}
		if len(s.Supervisors[name].Children) == 0 {
			return &TreeError{"supervisor." + name, "supervisor " + name + " has no children", `write children = ["SERVICE", ...]`}
		}
		if err := s.checkChildren(name, parents); err != nil {
			return err
		}
	}
	if err := s.checkSignificant(); err != nil {
		return err
	}
	return s.checkCycle(parents)
}

// checkSignificant wants children whose end can end their supervisor to end by themselves, and the supervisor to heed it.
func (s Supervision) checkSignificant() error {
	for _, name := range slices.Sorted(maps.Keys(s.Supervisors)) {
		if sup := s.Supervisors[name]; sup.Significant {
			if err := s.checkHeeded("supervisor."+name, name, sup.Restart); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Services)) {
		if m := s.Services[name]; m.Significant {
			if err := s.checkHeeded("service."+name, name, m.Restart); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s Supervision) checkHeeded(path, name string, r supervise.Restart) error {
	at := s.Parent(name)
	sup, declared := s.Supervisors[at]
	switch {
	case r == supervise.Permanent:
		return &TreeError{path + ".significant", name + " is permanent, and cannot be significant: it never ends by itself", "make it transient or temporary"}
	case !declared:
		return &TreeError{path + ".significant", name + " is significant to no supervisor: it is right under the root", "name it in the children of one"}
	case sup.AutoShutdown == supervise.Never:
		return &TreeError{
			path + ".significant", fmt.Sprintf("%s is significant, and supervisor %s does not end with such children", name, at),
			fmt.Sprintf(`write auto_shutdown = "any_significant" or "all_significant" into [supervisor.%s]`, at),
		}
	}
	return nil
}

func (s Supervision) checkChildren(name string, parents map[string]string) error {
	for _, child := range s.Supervisors[name].Children {
		other, twice := parents[child]
		switch {
		case child == name:
			return &TreeError{childOf(name, child), "supervisor " + name + " is a child of itself", ""}
		case twice && other == name:
			return &TreeError{childOf(name, child), child + " is twice a child of supervisor " + name, ""}
		case twice:
			return &TreeError{
				childOf(name, child), fmt.Sprintf("%s is a child of two supervisors, %s and %s", child, other, name), "a child has one supervisor",
			}
		}
		parents[child] = name
	}
	return nil
}

// checkCycle wants a way from every supervisor up to the root.
func (s Supervision) checkCycle(parents map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(s.Supervisors)) {
		way := []string{name}
		for at := parents[name]; at != ""; at = parents[at] {
			way = append(way, at)
			if at == name {
				slices.Reverse(way)
				return &TreeError{childrenOf(name), "supervisors form a cycle: " + strings.Join(way, " -> "), ""}
			}
			if len(way) > len(s.Supervisors) {
				break // a cycle further up: it is found from there
			}
		}
	}
	return nil
}

// CheckServices finds what does not fit the services of a release: children that are not there, and an order of starting
// in which a service comes before one that it requires. The error is a *TreeError.
func (s Supervision) CheckServices(services Requires) error {
	for _, name := range slices.Sorted(maps.Keys(s.Supervisors)) {
		if _, both := services[name]; both {
			return &TreeError{"supervisor." + name, name + " is a supervisor and a service", "give the supervisor another name"}
		}
	}
	if unknown := s.Unknown(services); len(unknown) > 0 {
		return unknown[0]
	}
	for _, name := range s.top(services) {
		if err := s.checkOrder(name, services); err != nil {
			return err
		}
	}
	return s.checkTops(services)
}

// Unknown lists the children that are neither supervisors nor among the services.
func (s Supervision) Unknown(services Requires) (list []*TreeError) {
	for _, name := range slices.Sorted(maps.Keys(s.Supervisors)) {
		for _, child := range s.Supervisors[name].Children {
			_, supervisor := s.Supervisors[child]
			if _, service := services[child]; !supervisor && !service {
				list = append(list, s.unknown(name, child, services))
			}
		}
	}
	return list
}

func (s Supervision) unknown(name, child string, services Requires) *TreeError {
	e := &TreeError{Path: childOf(name, child), What: fmt.Sprintf("supervisor %s has the child %s, and the release has no such service", name, child)}
	known := slices.Sorted(maps.Keys(services))
	known = append(known, slices.Sorted(maps.Keys(s.Supervisors))...)
	e.Hint = "known: " + strings.Join(known, ", ")
	if near := appup.Nearest(child, known); near != "" {
		e.Hint = fmt.Sprintf("did you mean %q?", near)
	}
	return e
}

// checkOrder refuses an order within one child of the root that contradicts what is required.
func (s Supervision) checkOrder(top string, services Requires) error {
	list := s.flatten(top)
	for i, service := range list {
		for _, other := range services[service] {
			if slices.Index(list, other) > i {
				name := s.common(service, other)
				return &TreeError{
					childOf(name, s.below(name, service)),
					fmt.Sprintf("%s requires %s, which starts after it under supervisor %s", service, other, name),
					fmt.Sprintf("name %s before %s", s.below(name, other), s.below(name, service)),
				}
			}
		}
	}
	return nil
}

// checkTops refuses children of the root that would have to start each before the other.
func (s Supervision) checkTops(services Requires) error {
	w := topWalk{s: s, services: services, state: map[string]int{}}
	for _, name := range s.top(services) {
		if err := w.visit(name); err != nil {
			return err
		}
	}
	return nil
}

// Order lists the services as they start: by the tree, and under the root each after those that it requires.
func (s Supervision) Order(services Requires) []string {
	w := topWalk{s: s, services: services, state: map[string]int{}}
	for _, name := range s.top(services) {
		_ = w.visit(name) // a cycle was refused when the release was built
	}
	return w.list
}

// Before lists the services that start before one, under the supervisors that are declared. Each is ready before the next
// one starts.
func (s Supervision) Before(service string) []string {
	top := service
	for p := s.Parent(top); p != Root; p = s.Parent(top) {
		top = p
	}
	list := s.flatten(top)
	return list[:max(slices.Index(list, service), 0)]
}

// topWalk goes through the children of the root, each after those that it needs.
type topWalk struct {
	s        Supervision
	services Requires
	state    map[string]int // 1 while it is visited, 2 after that
	way      []string
	list     []string
}

func (w *topWalk) visit(top string) error {
	switch w.state[top] {
	case 2:
		return nil
	case 1:
		way := append(w.way[slices.Index(w.way, top):], top)
		return &TreeError{childrenOf(w.declared(way)), "supervisors have to start each before the other: " + strings.Join(way, " -> "), "put what requires each other under one supervisor"}
	}
	w.state[top] = 1
	w.way = append(w.way, top)
	own := w.s.flatten(top)
	for _, service := range own {
		for _, other := range w.services[service] {
			if _, there := w.services[other]; !there || slices.Contains(own, other) {
				continue
			}
			if err := w.visit(w.s.topOf(other)); err != nil {
				return err
			}
		}
	}
	w.way, w.state[top] = w.way[:len(w.way)-1], 2
	for _, service := range own {
		if _, there := w.services[service]; there {
			w.list = append(w.list, service)
		}
	}
	return nil
}

// declared is the first supervisor on a way.
func (w *topWalk) declared(way []string) string {
	for _, name := range way {
		if _, ok := w.s.Supervisors[name]; ok {
			return name
		}
	}
	return ""
}

// top lists the children of the root by name.
func (s Supervision) top(services Requires) []string {
	seen := map[string]bool{}
	for name := range services {
		seen[s.topOf(name)] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func (s Supervision) topOf(name string) string {
	for p := s.Parent(name); p != Root; p = s.Parent(name) {
		name = p
	}
	return name
}

// flatten lists the services under a name, which may be a service itself.
func (s Supervision) flatten(name string) []string {
	sup, ok := s.Supervisors[name]
	if !ok {
		return []string{name}
	}
	var list []string
	for _, child := range sup.Children {
		list = append(list, s.flatten(child)...)
	}
	return list
}

// common is the nearest supervisor above both.
func (s Supervision) common(a, b string) string {
	above := s.above(a)
	for _, name := range s.above(b) {
		if slices.Contains(above, name) {
			return name
		}
	}
	return Root
}

// above lists the supervisors from the nearest to the highest that is declared.
func (s Supervision) above(name string) (list []string) {
	for p := s.Parent(name); p != Root; p = s.Parent(p) {
		list = append(list, p)
	}
	return list
}

// below is the child of a supervisor that leads to a name.
func (s Supervision) below(supervisor, name string) string {
	for p := s.Parent(name); p != supervisor && p != Root; p = s.Parent(name) {
		name = p
	}
	return name
}
