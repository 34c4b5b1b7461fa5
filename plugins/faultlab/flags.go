package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/theseusd/theseus/plugins/faultlab/internal/lab"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/supervise"
)

var (
	strategyNames = []string{"one_for_one", "one_for_all", "rest_for_one", "dynamic"}
	reportFlag    = sdk.Flag{Name: "report", Arg: "FILE", Short: "write a page with timelines and a comparison of all strategies", Writes: true}
	jsonFlag      = sdk.Flag{Name: "json", Short: "print all that was seen as JSON"}
)

var runFlags = []sdk.Flag{
	{Name: "strategy", Arg: "STRATEGY", Short: "one_for_one (default), one_for_all, rest_for_one or dynamic", Values: strategyNames},
	{
		Name: "fault", Arg: "FAULT", Short: "panic (default), exit, kill9, hang, leak, slow-start or start-error",
		Values: []string{"panic", "exit", "kill9", "hang", "leak", "slow-start", "start-error"},
	},
	{
		Name: "level", Arg: "LEVEL", Short: "process (default: of sdk/otp), goroutine, or plugin: a process of the operating system",
		Values: []string{"process", "goroutine", "plugin"},
	},
	{Name: "workers", Arg: "N", Short: "how many; default 2, or 3 where a neighbour on either side tells more"},
	{Name: "names", Arg: "A,B,C", Short: "their names, in the order of starting; default A, B, C and so on"},
	{Name: "victim", Arg: "NAME", Short: "which one is hurt; default the first or middle one, or by the seed"},
	{Name: "crashes", Arg: "N", Short: "how often; default 1"},
	{Name: "intensity", Arg: "N", Short: "restarts that the supervisor allows within the period; goes on until it gives up, unless --crashes is there"},
	{Name: "period", Arg: "DURATION", Short: "of the intensity, in whole seconds; default 5s"},
	{Name: "seed", Arg: "N", Short: "chooses victims and moments; the same seed tells the same story"},
	{Name: "compare", Short: "the same under the other strategies"},
	reportFlag,
	jsonFlag,
}

const runExamples = `faultlab run --strategy one_for_all
faultlab run --strategy rest_for_one --workers 5 --victim C
faultlab run --fault hang --level goroutine
faultlab run --fault kill9 --level plugin
faultlab run --intensity 3 --period 5s
faultlab run --crashes 40 --workers 5 --seed 7 --report lab.html`

var (
	historyFlags = []sdk.Flag{{Name: "last", Arg: "N", Short: "only so many of the newest"}, jsonFlag}
	showFlags    = []sdk.Flag{
		{Name: "report", Arg: "FILE", Short: "write a page with timelines, of the strategies that the run was made with", Writes: true},
		jsonFlag,
	}
)

// planOf reads the flags of a run. What is wrong is a *sdk.UsageError.
func planOf(c *sdk.Call) (p lab.Plan, err error) {
	f := flags{call: c}
	p.Workers = f.number("workers", 1, 0)
	p.Crashes = f.number("crashes", 1, 0)
	p.Seed = uint64(f.number("seed", 0, 0))
	if _, p.Escalate = c.Flag("intensity"); p.Escalate {
		if p.Intensity = f.number("intensity", 0, 0); p.Intensity == 0 {
			p.Intensity = supervise.NoRestarts
		}
		p.Escalate = p.Crashes == 0
	}
	p.Period = f.duration("period")
	if name, given := c.Flag("strategy"); given && f.err == nil {
		f.err = p.Strategy.UnmarshalText([]byte(name))
	}
	fault, _ := c.Flag("fault")
	level, _ := c.Flag("level")
	p.Fault, p.Level = lab.Fault(fault), lab.Level(level)
	p.Victim, _ = c.Flag("victim")
	if names, given := c.Flag("names"); given {
		p.Names = strings.Split(names, ",")
	}
	_, compare := c.Flag("compare")
	_, reported := c.Flag("report")
	p.Compare = compare || reported
	if f.err != nil {
		return p, f.err
	}
	if err := p.Check(); err != nil {
		return p, sdk.Usagef("%v", err)
	}
	return p, nil
}

// flags reads values; the first that is wrong stays in err.
type flags struct {
	call *sdk.Call
	err  error
}

// number is from least up, or def if the flag is not there.
func (f *flags) number(name string, least, def int) int {
	word, given := f.call.Flag(name)
	if !given {
		return def
	}
	n, err := strconv.Atoi(word)
	if f.err == nil && (err != nil || n < least) {
		f.err = sdk.Usagef("--%s %s: want a whole number, at least %d", name, word, least)
	}
	return n
}

func (f *flags) duration(name string) time.Duration {
	word, given := f.call.Flag(name)
	if !given {
		return 0
	}
	d, err := time.ParseDuration(word)
	if f.err == nil && (err != nil || d <= 0) {
		f.err = sdk.Usagef("--%s %s: want a duration such as 5s or 1m", name, word)
	}
	return d
}

func badRun(word string) error {
	return sdk.Usagef("%s is no number of a run: faultlab history lists them", word)
}
