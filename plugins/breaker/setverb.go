package main

import (
	"context"
	"strconv"

	"github.com/theseusd/theseus/plugins/breaker/internal/circuit"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/clock"
)

// setting is a flag of `set`, and where its value goes.
type setting struct {
	sdk.Flag
	read func(s *circuit.Settings, word string) error
}

func settings() []setting {
	number := func(to func(*circuit.Settings) *int64) func(*circuit.Settings, string) error {
		return func(s *circuit.Settings, word string) (err error) {
			*to(s), err = strconv.ParseInt(word, 10, 64)
			return err
		}
	}
	ratio := func(to func(*circuit.Settings) *float64) func(*circuit.Settings, string) error {
		return func(s *circuit.Settings, word string) (err error) {
			*to(s), err = strconv.ParseFloat(word, 64)
			return err
		}
	}
	span := func(to func(*circuit.Settings) *clock.Duration) func(*circuit.Settings, string) error {
		return func(s *circuit.Settings, word string) error { return to(s).UnmarshalText([]byte(word)) }
	}
	flag := func(name, arg, short string) sdk.Flag { return sdk.Flag{Name: name, Arg: arg, Short: short} }
	return []setting{
		{flag("failures", "N", "failures in a row that open it; -1 for none"), number(func(s *circuit.Settings) *int64 { return &s.Failures })},
		{flag("failure-ratio", "R", "part of the calls in the window; -1 for none"), ratio(func(s *circuit.Settings) *float64 { return &s.FailureRatio })},
		{flag("slow-ratio", "R", "part of the calls that were slow; -1 for none"), ratio(func(s *circuit.Settings) *float64 { return &s.SlowRatio })},
		{flag("slow-after", "DURATION", "a call that takes so long is slow"), span(func(s *circuit.Settings) *clock.Duration { return &s.SlowAfter })},
		{flag("minimum-calls", "N", "calls in the window before a ratio counts"), number(func(s *circuit.Settings) *int64 { return &s.MinimumCalls })},
		{flag("window", "DURATION", "in which calls are counted"), span(func(s *circuit.Settings) *clock.Duration { return &s.Window })},
		{flag("cooldown", "DURATION", "how long it is open the first time"), span(func(s *circuit.Settings) *clock.Duration { return &s.Cooldown })},
		{flag("backoff", "F", "by which each cooldown is longer than the one before"), ratio(func(s *circuit.Settings) *float64 { return &s.Backoff })},
		{flag("max-cooldown", "DURATION", "the longest cooldown"), span(func(s *circuit.Settings) *clock.Duration { return &s.MaxCooldown })},
		{flag("jitter", "R", "part of a cooldown that chance adds or takes"), ratio(func(s *circuit.Settings) *float64 { return &s.Jitter })},
		{flag("probes", "N", "calls that must go well before it closes"), number(func(s *circuit.Settings) *int64 { return &s.Probes })},
		{flag("lease", "DURATION", "in which a probe has to be reported"), span(func(s *circuit.Settings) *clock.Duration { return &s.Lease })},
	}
}

func settingFlags() (flags []sdk.Flag) {
	for _, s := range settings() {
		flags = append(flags, s.Flag)
	}
	return flags
}

func (b *breakers) setVerb(_ context.Context, c *sdk.Call) error {
	var own circuit.Settings
	for _, s := range settings() {
		word, there := c.Flag(s.Name)
		if !there {
			continue
		}
		if err := s.read(&own, word); err != nil {
			return sdk.Usagef("--%s %s: want %s", s.Name, word, s.Arg)
		}
	}
	if err := asUsage(b.set(c.Args[0], own)); err != nil {
		return err
	}
	c.Printf("ok\n")
	return nil
}
