package sdk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

var labFlags = []Flag{
	{Name: "strategy", Arg: "STRATEGY", Values: []string{"one_for_one", "one_for_all"}},
	{Name: "workers", Arg: "N"},
	{Name: "report", Arg: "FILE", Writes: true},
	{Name: "json"},
}

func TestFlagsAreTakenOutOfTheArguments(t *testing.T) {
	for _, c := range []struct {
		args, words, given string
		err                string
	}{
		{args: "", words: "", given: "map[]"},
		{args: "a --workers 3 b", words: "a b", given: "map[workers:3]"},
		{args: "--workers=3 --json", given: "map[json: workers:3]"},
		{args: "--strategy one_for_all", given: "map[strategy:one_for_all]"},
		{args: "--workers -1", given: "map[workers:-1]"},
		{args: "--workers=", given: "map[workers:]"},
		{args: "--json -- --workers 3", words: "--workers 3", given: "map[json:]"},
		{args: "-1", words: "-1", given: "map[]"},
		{args: "--fast", err: "unknown flag --fast: there are --strategy, --workers, --report, --json"},
		{args: "--workers", err: "--workers wants a value: --workers N"},
		{args: "--json=yes", err: "--json takes no value"},
		{args: "--json --json", err: "--json is there twice"},
		{args: "--strategy=none", err: "--strategy none: want one of one_for_one, one_for_all"},
	} {
		words, given, err := parseFlags(labFlags, strings.Fields(c.args))
		var usage *UsageError
		switch {
		case c.err != "" && (!errors.As(err, &usage) || usage.Text != c.err):
			t.Errorf("%s: got %v, want %s", c.args, err, c.err)
		case c.err == "" && (err != nil || strings.Join(words, " ") != c.words || fmt.Sprint(given) != c.given):
			t.Errorf("%s: got %q %v, %v", c.args, words, given, err)
		}
	}
}

func FuzzFlags(f *testing.F) {
	for _, seed := range []string{"--json a", "--workers=3 -- --x", "--strategy one_for_one --report r"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		words, given, err := parseFlags(labFlags, args)
		if err != nil {
			return
		}
		var again []string
		for _, name := range slices.Sorted(maps.Keys(given)) {
			if name == "json" {
				again = append(again, "--json")
				continue
			}
			again = append(again, "--"+name+"="+given[name])
		}
		words2, given2, err := parseFlags(labFlags, append(append(again, "--"), words...))
		if err != nil || !slices.Equal(words, words2) || !maps.Equal(given, given2) {
			t.Errorf("%q: %q %v, then %q %v, %v", args, words, given, words2, given2, err)
		}
	})
}

func TestVerbsWithFlagsAreChecked(t *testing.T) {
	do := func(context.Context, *Call) error { return nil }
	run := func(context.Context, []string) (string, error) { return "", nil }
	for _, c := range []struct {
		name string
		verb Verb
		ok   bool
	}{
		{"flags and Do", Verb{Name: "run", Do: do, Flags: labFlags}, true},
		{"neither Do nor Run", Verb{Name: "run"}, false},
		{"both", Verb{Name: "run", Do: do, Run: run}, false},
		{"flags without Do", Verb{Name: "run", Run: run, Flags: labFlags}, false},
		{"a flag twice", Verb{Name: "run", Do: do, Flags: []Flag{{Name: "a"}, {Name: "a"}}}, false},
		{"a flag with dashes", Verb{Name: "run", Do: do, Flags: []Flag{{Name: "--a"}}}, false},
		{"help is the client's", Verb{Name: "run", Do: do, Flags: []Flag{{Name: "help"}}}, false},
		{"values without an Arg", Verb{Name: "run", Do: do, Flags: []Flag{{Name: "a", Values: []string{"b"}}}}, false},
	} {
		if err := c.verb.validate(nil); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
