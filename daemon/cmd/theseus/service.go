package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/describe"
)

// service runs one verb, or lists them all.
func (c *call) service(ctx context.Context) int {
	ctx, stop := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("no answer within %s", answerTime))
	defer stop()
	s, err := control.DialService(c.dir, c.command)
	if err != nil {
		return c.fail(err)
	}
	if c.help || len(c.args) == 0 || asksHelp(c.args[1:]) {
		return c.verbs(ctx, s)
	}
	text, err := s.Call(ctx, c.args[0], plain(c.args[1:])...)
	if err != nil {
		return c.fail(err)
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if _, err := fmt.Fprint(c.out, text); err != nil {
		return c.fail(err)
	}
	return done
}

// asksHelp is true for `VERB --help`; after a -- it is an argument like any other.
func asksHelp(args []string) bool {
	return len(args) > 0 && (args[0] == "--help" || args[0] == "-h")
}

// plain is the arguments without the -- that ends the client's own.
func plain(args []string) []string {
	if len(args) > 0 && args[0] == "--" {
		return args[1:]
	}
	return args
}

// verbs lists what the running version can do, or the one verb that help was asked for.
func (c *call) verbs(ctx context.Context, s *control.Service) int {
	verbs, version, err := s.Verbs(ctx)
	if err != nil {
		return c.fail(err)
	}
	if i := slices.IndexFunc(verbs, func(v describe.Verb) bool { return len(c.args) > 0 && v.Name == c.args[0] }); i >= 0 {
		c.table(verbs[i : i+1])
		return done
	}
	fmt.Fprintf(c.out, "%s\n\n", strings.TrimSpace("verbs of "+c.command+" "+version))
	c.table(verbs)
	return done
}

func (c *call) table(verbs []describe.Verb) {
	w := tabwriter.NewWriter(c.out, 0, 0, 3, ' ', 0)
	defer w.Flush()
	for _, v := range verbs {
		fmt.Fprintf(w, "  %s %s\t%s\n", c.command, strings.TrimSpace(v.Name+" "+v.Args), v.Short)
	}
}

// list shows the services and their verbs.
func (c *call) list(ctx context.Context) int {
	names, err := c.services()
	if err != nil {
		return c.fail(err)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 3, ' ', 0)
	defer w.Flush()
	var last error
	answered := 0
	for _, name := range names {
		verbs, err := c.ask(ctx, name)
		if err != nil {
			last = err
			continue
		}
		answered++
		fmt.Fprintf(w, "%s\t%s\n", name, strings.Join(verbs, " "))
	}
	if answered == 0 && last != nil {
		return c.fail(last)
	}
	return done
}

// services are the commands of the instance; an instance that never ran has no daemon.
func (c *call) services() ([]string, error) {
	dir, err := control.Find(c.dir)
	if err != nil {
		return nil, err
	}
	names, err := control.Sockets(dir)
	if err != nil {
		return nil, &control.DialError{Dir: dir, Socket: control.RunDir(dir), Err: err}
	}
	if len(names) == 0 {
		return nil, &control.DialError{Dir: dir, Socket: control.RunDir(dir), Err: errors.New("no services are there")}
	}
	return names, nil
}

// ask returns the names of a service's verbs.
func (c *call) ask(ctx context.Context, name string) ([]string, error) {
	ctx, stop := context.WithTimeout(ctx, listTime)
	defer stop()
	s, err := control.DialService(c.dir, name)
	if err != nil {
		return nil, err
	}
	verbs, _, err := s.Verbs(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, v := range verbs {
		names = append(names, v.Name)
	}
	return names, nil
}
