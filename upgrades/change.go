package upgrades

import (
	"fmt"
	"time"

	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// The ways of a service from one release to the next. The first three are the manifest's.
const (
	doUpdate  = "update"
	doLoad    = "load"
	doRestart = "restart"
	doStart   = "start" // the service is new
	doStop    = "stop"  // the service goes
)

// change is what an upgrade does to one service. It is journaled with the plan and is all that recovery needs.
type change struct {
	Service      string              `json:"service"`
	Do           string              `json:"do"`
	From         string              `json:"from,omitempty"` // versions
	To           string              `json:"to,omitempty"`
	Old          string              `json:"old,omitempty"` // digests
	New          string              `json:"new,omitempty"`
	Seq          int64               `json:"seq,omitempty"` // of the new one
	Down         bool                `json:"down,omitempty"`
	Irreversible bool                `json:"irreversible,omitempty"`
	Drain        time.Duration       `json:"drain,omitempty"`
	Probation    time.Duration       `json:"probation,omitempty"`
	Health       time.Duration       `json:"health,omitempty"`
	Limits       appup.Limits        `json:"limits,omitzero"` // of a journal that has none: a version passes unless it dies or is unhealthy
	Budget       appup.Budgets       `json:"budget,omitzero"`
	Tables       []appup.TableChange `json:"tables,omitempty"`
	Path         []string            `json:"path,omitempty"` // versions, from one to the next

	OldSettings release.Settings `json:"old_settings,omitempty"`
	NewSettings release.Settings `json:"new_settings,omitempty"`
	Open        []string         `json:"open,omitempty"`  // listeners that the new version has and the old one has not
	Close       []string         `json:"close,omitempty"` // and the other way round
	Config      string           `json:"config,omitempty"`
	Supervise   string           `json:"supervise,omitempty"`
}

// oldItem and newItem are what is in the two releases; nothing if the service is not.
func (c change) oldItem() item { return item{Version: c.From, Digest: c.Old, Settings: c.OldSettings} }

func (c change) newItem() item { return item{Version: c.To, Digest: c.New, Settings: c.NewSettings} }

// changeOf turns a compiled appup into a change between two packages.
func changeOf(r *appup.Relup, from, to release.Package) change {
	return change{
		Service: r.Service, Do: r.Do.String(), From: from.Version, To: to.Version, Old: from.Digest, New: to.Digest, Seq: to.Seq,
		Down: r.Down, Irreversible: r.Irreversible, Drain: r.Drain, Probation: r.Probation, Health: r.Health,
		Limits: r.Limits, Budget: r.Budget,
		Tables: r.Tables, Path: r.Path,
	}
}

// live is true if the new version stands by while the old one serves.
func (c change) live() bool { return c.Do == doUpdate || c.Do == doLoad }

// commits is true if going over with this service decides the upgrade, unless it is decided already.
func (c change) commits(last string) bool { return c.Irreversible || c.Service == last }

// migrates lists the tables whose rows change their shape.
func (c change) migrates() []appup.TableChange {
	var list []appup.TableChange
	for _, t := range c.Tables {
		if t.Kind == appup.Migrate {
			list = append(list, t)
		}
	}
	return list
}

// detail says for people what happens to the tables.
func (c change) detail() []string {
	var lines []string
	for _, t := range c.Tables {
		switch t.Kind {
		case appup.Migrate:
			lines = append(lines, fmt.Sprintf("%s %d -> %d: %s -> %s", t.Table, t.From, t.To, t.FromShape, t.ToShape))
		case appup.Added:
			lines = append(lines, fmt.Sprintf("%s %d is new: %s", t.Table, t.To, t.ToShape))
		case appup.Dropped:
			lines = append(lines, fmt.Sprintf("%s %d is no longer kept", t.Table, t.From))
		case appup.Same:
		}
	}
	return append(lines, c.around()...)
}

// shadows are the older shapes in which the writer must write too, so that the reader finds every row. A newer reader
// needs none: it takes older rows through its Steps.
func shadows(writer, reader describe.Service) map[string]int32 {
	var m map[string]int32
	for _, t := range reader.Tables {
		if w, ok := writer.Table(t.Name); ok && w.Version > t.Version {
			if m == nil {
				m = map[string]int32{}
			}
			m[t.Name] = int32(t.Version)
		}
	}
	return m
}
