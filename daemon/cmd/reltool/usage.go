package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/theseusd/theseus/upgrades/appup"
)

// explain has every command say how it is called when its arguments are wrong.
func explain(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return &usageError{err.Error(), how(c)}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		explain(sub)
	}
}

// how is the usage line of a command, and where to read more.
func how(c *cobra.Command) string {
	return "usage: " + c.UseLine() + "; see: " + c.CommandPath() + " --help"
}

// values are what flags want, by the types that pflag has for them.
var values = map[string]string{
	"bool": "true or false", "int": "a whole number", "uint": "a whole number from 0", "uint64": "a whole number from 0",
	"intSlice": "whole numbers with commas between them",
}

// flagError says what a flag wants whose value is none, and names the one that comes nearest to one that a command does not
// have.
func flagError(c *cobra.Command, err error) error {
	hint := "see: " + c.CommandPath() + " --help"
	var wrong *pflag.InvalidValueError
	if errors.As(err, &wrong) && values[wrong.GetFlag().Value.Type()] != "" {
		f := wrong.GetFlag()
		return &usageError{fmt.Sprintf("--%s %s: want %s", f.Name, wrong.GetValue(), values[f.Value.Type()]), hint}
	}
	var none *pflag.NotExistError
	if errors.As(err, &none) {
		var known []string
		all := func(f *pflag.Flag) { known = append(known, f.Name) }
		c.Flags().VisitAll(all)
		c.InheritedFlags().VisitAll(all)
		slices.Sort(known)
		if near := appup.Nearest(none.GetSpecifiedName(), slices.Compact(known)); near != "" {
			hint = "did you mean --" + near + "? " + hint
		}
	}
	return &usageError{err.Error(), hint}
}

// subcommands are the names of what a command can do.
func subcommands(c *cobra.Command) string {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return strings.Join(names, ", ")
}
