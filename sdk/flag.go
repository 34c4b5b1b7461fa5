package sdk

import (
	"fmt"
	"slices"
	"strings"
)

// Flag is an option of a verb: `--name VALUE` or `--name=VALUE`, anywhere behind the verb; without Arg it takes no
// value. After a `--` nothing is a flag.
type Flag struct {
	Name   string   // without dashes
	Arg    string   // what stands for the value in the help: "N", "FILE"; empty for a flag that is there or not
	Short  string   // one line of help
	Values []string // the values that it takes; any if empty
	Writes bool     // its value is a file that the client writes: see [Call.Write]
}

func checkFlags(verb string, flags []Flag) error {
	seen := map[string]bool{}
	for _, f := range flags {
		switch {
		case !serviceName.MatchString(f.Name) || seen[f.Name] || f.Name == "help":
			return fmt.Errorf("sdk: verb %q: flag %q needs a name in lower case, one that no other has", verb, f.Name)
		case f.Arg == "" && (f.Writes || len(f.Values) > 0):
			return fmt.Errorf("sdk: verb %q: flag %q has values, but no Arg", verb, f.Name)
		}
		seen[f.Name] = true
	}
	return nil
}

// parseFlags takes the flags out of the arguments. What is wrong with them is a *UsageError.
func parseFlags(flags []Flag, args []string) (words []string, given map[string]string, err error) {
	given = map[string]string{}
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "--" {
			return append(words, args...), given, nil
		}
		if !strings.HasPrefix(word, "--") {
			words = append(words, word)
			continue
		}
		name, value, joined := strings.Cut(word[2:], "=")
		f, err := flagOf(flags, name)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case f.Arg == "" && joined:
			return nil, nil, Usagef("--%s takes no value", name)
		case f.Arg != "" && !joined && len(args) == 0:
			return nil, nil, Usagef("--%s wants a value: --%s %s", name, name, f.Arg)
		case f.Arg != "" && !joined:
			value, args = args[0], args[1:]
		}
		if _, twice := given[name]; twice {
			return nil, nil, Usagef("--%s is there twice", name)
		}
		if len(f.Values) > 0 && !slices.Contains(f.Values, value) {
			return nil, nil, Usagef("--%s %s: want one of %s", name, value, strings.Join(f.Values, ", "))
		}
		given[name] = value
	}
	return words, given, nil
}

func flagOf(flags []Flag, name string) (Flag, error) {
	names := make([]string, len(flags))
	for i, f := range flags {
		if f.Name == name {
			return f, nil
		}
		names[i] = "--" + f.Name
	}
	return Flag{}, Usagef("unknown flag --%s: there are %s", name, strings.Join(names, ", "))
}
