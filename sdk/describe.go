package sdk

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"

	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/sdk/state"
	"github.com/theseusd/theseus/sdk/wire"
)

// Describe runs the service's Setup against an empty state log and tells what it declared.
func Describe(s Service) (describe.Service, error) {
	dir, err := os.MkdirTemp("", s.Name+"-describe-")
	if err != nil {
		return describe.Service{}, err
	}
	defer os.RemoveAll(dir)
	log := slog.New(slog.DiscardHandler)
	store, err := state.Open(dir, state.Options{Logger: log})
	if err != nil {
		return describe.Service{}, err
	}
	defer store.Close()
	up := newSetup(s, store, nil, log)
	if err := up.run(); err != nil {
		return describe.Service{}, err
	}
	return up.describe(), nil
}

func (s Service) printDescription(w io.Writer) int {
	d, err := Describe(s)
	if err != nil {
		fmt.Fprintln(os.Stderr, s.Name+":", err)
		return 1
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		fmt.Fprintln(os.Stderr, s.Name+":", err)
		return 1
	}
	fmt.Fprintln(w, string(text))
	return 0
}

func (s *Setup) describe() describe.Service {
	d := describe.Service{
		Name: s.service.Name, Version: s.service.Version, Protocol: wire.Protocol,
		OS: runtime.GOOS, Arch: runtime.GOARCH, Tables: s.store.Tables(),
	}
	for _, v := range s.verbs {
		d.Verbs = append(d.Verbs, v.describe())
	}
	for _, l := range s.listeners {
		d.Listeners = append(d.Listeners, l.name)
		if l.web {
			d.Web = append(d.Web, l.name)
		}
	}
	slices.Sort(d.Listeners)
	slices.Sort(d.Web)
	if s.node != nil {
		d.Processes = s.node.Behaviours()
	}
	return d
}

func (v Verb) describe() describe.Verb {
	d := describe.Verb{Name: v.Name, Args: v.Args, Short: v.Short, Examples: v.Examples, Input: v.Input}
	for _, f := range v.Flags {
		d.Flags = append(d.Flags, describe.Flag(f))
	}
	return d
}
