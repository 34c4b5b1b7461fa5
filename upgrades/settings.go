package upgrades

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// Operator decides beside the manifests: what is in theseus.toml.
type Operator interface {
	// Read says what is decided now, for each service that is named there. known are the services that can be named,
	// with the names of their listeners; what is named and not known is a warning or, if it can only be a slip, an error.
	// services are those of the release to come: a tree that does not fit them is an error. Nothing is compared with nil.
	Read(known map[string][]string, services release.Requires) (Decided, error)
	// AtStart is what was decided for a service when the daemon started: releases without settings mean this.
	AtStart(service string) release.Settings
}

// Decided is what an [Operator] says.
type Decided struct {
	Settings map[string]release.Settings
	Tree     release.Tree
	Warnings []string
}

// nobody decides nothing.
type nobody struct{}

func (nobody) Read(map[string][]string, release.Requires) (Decided, error) { return Decided{}, nil }
func (nobody) AtStart(string) release.Settings                             { return release.NoSettings }

// decide gives each service of a set the settings that the operator wants now, and returns all that was decided.
func (e *Engine) decide(from, to packages) (Decided, error) {
	d, err := e.operator.Read(e.known(to), to.requires())
	var mistake *appup.ParseError
	if errors.As(err, &mistake) {
		return d, e.refuse(codeBadConfig, mistake.Error(), "correct it and build again; nothing has changed")
	}
	if err != nil {
		return d, err
	}
	for name, p := range to {
		want := d.Settings[name]
		if want == "" {
			want = release.NoSettings
		}
		old, was := from[name]
		if was && old.Settings == "" && old.Digest == p.Digest && e.operator.AtStart(name) == want {
			want = "" // as it was
		}
		p.Settings = want
		to[name] = p
	}
	return d, nil
}

// known are the services of all releases and of the set, with the listeners of the latter.
func (e *Engine) known(to packages) map[string][]string {
	all := map[string][]string{}
	e.read(func(r *registry) {
		for _, n := range r.releases {
			for name := range n.set {
				all[name] = nil
			}
		}
	})
	for name, p := range to {
		for _, l := range p.Manifest.Listen {
			all[name] = append(all[name], l.Name)
		}
	}
	return all
}

// Drift names the services whose settings in the serving release are not what the operator wants now, and supervision if
// that is another one; and the newest release if that has all as it is wanted.
func (e *Engine) Drift() (services []string, built string, err error) {
	d, err := e.operator.Read(nil, nil)
	if err != nil {
		return nil, "", err
	}
	e.read(func(r *registry) {
		services = e.drift(r.find(r.serving), d)
		if n, _ := r.newest(); n != nil && len(e.drift(n, d)) == 0 {
			built = n.name
		}
	})
	return services, built, nil
}

// drift names the services of a release whose settings are not what is decided, and supervision.
func (e *Engine) drift(n *numbered, d Decided) (services []string) {
	if n == nil {
		return nil
	}
	for name, it := range n.set {
		want := d.Settings[name]
		if want == "" {
			want = release.NoSettings
		}
		has := it.Settings
		if has == "" {
			has = e.operator.AtStart(name)
		}
		if has != want {
			services = append(services, name)
		}
	}
	slices.Sort(services)
	if n.tree != d.Tree {
		services = append(services, supervision)
	}
	return services
}

// supervision is what is not of one service.
const supervision = "supervision"

// decisions are the settings of a package, taken apart.
func (e *Engine) decisions(p release.Package) release.Decisions {
	d, err := p.Decisions(e.operator.AtStart)
	if err != nil {
		e.log.Error("settings that are none", "service", p.Name, "error", err)
	}
	return d
}

// differ notes what changes around the code: listeners, configuration, supervision.
func (e *Engine) differ(c change, from, to release.Package) change {
	old, now := e.decisions(from), e.decisions(to)
	before, after := old.Listeners(from.Manifest), now.Listeners(to.Manifest)
	c.OldSettings, c.NewSettings = from.Settings, to.Settings
	c.Open, c.Close = beyond(before, after), beyond(after, before)
	if c.Old == "" || c.New == "" {
		return c
	}
	c.Config = configChange(old.Config, now.Config)
	if was, is := old.Limits(from.Manifest), now.Limits(to.Manifest); was != is {
		c.Supervise = fmt.Sprintf("restarted at most %s, was %s", limitText(is), limitText(was))
	}
	return c
}

func limitText(r appup.Restart) string {
	return fmt.Sprintf("%s within %s", plural(uint64(max(r.Intensity, 0)), "time"), r.Period)
}

// beyond lists the listeners of b that a has not: a fixed address is the same socket under any name.
func beyond(a, b []appup.Listen) (list []string) {
	for _, l := range b {
		if !slices.ContainsFunc(a, func(o appup.Listen) bool { return socketOf(o) == socketOf(l) }) {
			list = append(list, l.Name+" "+l.Address)
		}
	}
	return list
}

func socketOf(l appup.Listen) string {
	if l.Network != "unix" && strings.HasSuffix(l.Address, ":0") {
		return l.Network + " " + l.Address + " " + l.Name
	}
	return l.Network + " " + l.Address
}

// configChange names the keys that differ; their values may be secrets.
func configChange(old, now json.RawMessage) string {
	was, is := objectOf(old), objectOf(now)
	var list []string
	for _, key := range slices.Sorted(maps.Keys(was)) {
		switch v, stays := is[key]; {
		case !stays:
			list = append(list, "-"+key)
		case string(v) != string(was[key]):
			list = append(list, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(is)) {
		if _, had := was[key]; !had {
			list = append(list, "+"+key)
		}
	}
	return strings.Join(list, ", ")
}

// configBack is the change of configuration on the way back.
func (e *Engine) configBack(c change) string {
	of := func(s release.Settings) json.RawMessage {
		return e.decisions(release.Package{Name: c.Service, Settings: s}).Config
	}
	return configChange(of(c.NewSettings), of(c.OldSettings))
}

func objectOf(text json.RawMessage) map[string]json.RawMessage {
	m := map[string]json.RawMessage{}
	_ = json.Unmarshal(text, &m) // empty if there is none
	return m
}

// changeOfSettings is how a service comes to other settings in the same version: as by do = "load".
func (e *Engine) changeOfSettings(from, to release.Package) change {
	m := to.Manifest
	c := change{
		Service: to.Name, Do: doLoad, From: from.Version, To: to.Version, Old: from.Digest, New: to.Digest,
		Drain: orDefault(m.Drain.Std(), appup.DefaultDrain), Health: orDefault(m.Probation.Health.Std(), appup.DefaultHealth),
		Probation: ownProbation(m), Limits: m.Probation.Limits(), Budget: m.Budget,
	}
	return e.differ(c, from, to)
}

// ownProbation is the longest one that a version asks for when it comes.
func ownProbation(m *appup.Manifest) (d time.Duration) {
	for _, up := range m.Up {
		d = max(d, up.Probation.Std())
	}
	return orDefault(d, appup.DefaultProbation)
}

// around says for people what changes beside the code.
func (c change) around() (lines []string) {
	if len(c.Path) > 2 {
		lines = append(lines, "by way of "+strings.Join(c.Path[1:len(c.Path)-1], ", "))
	}
	for _, l := range c.Open {
		lines = append(lines, "listens on "+l)
	}
	for _, l := range c.Close {
		lines = append(lines, "no longer listens on "+l)
	}
	if c.Config != "" {
		lines = append(lines, "config changed: "+c.Config)
	}
	if c.Supervise != "" {
		lines = append(lines, c.Supervise)
	}
	return lines
}

// aroundSteps are the lines of a plan for what is done beside the code before the switch.
func (c change) aroundSteps(to string) (list []control.PlanStep) {
	add := func(name, text string) {
		list = append(list, control.PlanStep{Service: c.Service, Name: name, Text: text})
	}
	if len(c.Path) > 2 {
		add("path", fmt.Sprintf("%s: %d appups in one switch", strings.Join(c.Path, " -> "), len(c.Path)-1))
	}
	for _, l := range c.Open {
		add("listen", "open "+l+"; closed again if it does not come to the end")
	}
	if c.Config != "" {
		add("config", fmt.Sprintf("%s gets the configuration of %s: %s", c.To, to, c.Config))
	}
	return list
}

// endSteps are those for what becomes final with the release.
func (c change) endSteps() (list []control.PlanStep) {
	add := func(name, text string) {
		list = append(list, control.PlanStep{Service: c.Service, Name: name, Text: text})
	}
	if c.Supervise != "" {
		add("supervise", c.Supervise)
	}
	for _, l := range c.Close {
		add("close", "close "+l)
	}
	if c.Do == doStop {
		add("stop", fmt.Sprintf("stop %s %s; its rows stay, for a release that has it again", c.Service, c.From))
	}
	return list
}

// toName and fromName are the versions, told apart by their releases where only settings change.
func (c change) toName(in string) string { return c.nameOf(c.To, in) }

func (c change) fromName(in string) string { return c.nameOf(c.From, in) }

func (c change) nameOf(version, in string) string {
	if c.From == c.To {
		return version + " with the settings of " + in
	}
	return version
}
