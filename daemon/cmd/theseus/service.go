package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"golang.org/x/term"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/describe"
)

// service runs one verb, or lists them all.
func (c *call) service(ctx context.Context) int {
	s, err := control.DialService(c.dir, c.command)
	if err != nil {
		return c.fail(err)
	}
	if c.help || len(c.args) == 0 || asksHelp(c.args[1:]) {
		return c.verbs(ctx, s)
	}
	all, words := files{}, plain(c.args[1:])
	verb, err := c.described(ctx, s, words)
	if err != nil {
		return c.fail(err)
	}
	if verb.Reads(words) {
		c.in = os.Stdin
		c.hintAt(os.Stdin)
	}
	if len(verb.Flags) > 0 {
		if slices.ContainsFunc(flagsIn(c.args), isHelp) {
			return c.verbs(ctx, s)
		}
		if all, err = openFiles(verb, c.args[1:]); err != nil {
			c.say(err.Error())
			return wrongUsage
		}
		words = c.args[1:] // what a -- means is for the verb's own flags to say
	}
	defer all.discard()
	return c.do(ctx, s, words, all)
}

// described is what the service says of a verb that may have flags or read standard input; nothing of others, or if it is not there.
func (c *call) described(ctx context.Context, s *control.Service, words []string) (v describe.Verb, err error) {
	if len(words) > 0 && !slices.ContainsFunc(c.args[1:], func(word string) bool { return strings.HasPrefix(word, "-") }) {
		return v, nil
	}
	ctx, stop := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("no answer within %s", answerTime))
	defer stop()
	verbs, _, err := s.Verbs(ctx)
	if i := slices.IndexFunc(verbs, func(v describe.Verb) bool { return v.Name == c.args[0] }); i >= 0 {
		v = verbs[i]
	}
	return v, err
}

// hintAt tells a person who may not know it that input is waited for.
func (c *call) hintAt(in *os.File) {
	if term.IsTerminal(int(in.Fd())) {
		c.say("reading from the terminal: Ctrl-D ends it")
	}
}

// do runs a verb; one that goes on in another version of the service, or after its end, is called again.
func (c *call) do(ctx context.Context, s *control.Service, words []string, all files) int {
	for {
		d, err := c.once(ctx, s, words, all)
		switch {
		case err == nil && d.goOn != nil:
			words = d.goOn.Args
		case c.comesAgain(ctx, err):
			words = c.lost.words
		default:
			return c.finish(ctx, s, d, err)
		}
		c.in = nil // it was read
	}
}

// once calls a verb and shows what it answers.
func (c *call) once(ctx context.Context, s *control.Service, words []string, all files) (*display, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	d := &display{call: c, files: all, stop: stop}
	defer c.lost.bound(stop)()
	err := s.Do(ctx, c.args[0], control.Asked{Args: words, Colour: coloured(c.out), Execs: true, Goes: true, Input: c.in}, d.see)
	d.end()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx) // what came could not be shown
	}
	return d, err
}

// finish is what is left to do when a verb is done or has failed.
func (c *call) finish(ctx context.Context, s *control.Service, d *display, err error) int {
	if err == nil {
		err = d.files.keep()
	}
	if err != nil {
		code := c.fail(err)
		if c.lost.forGood() {
			c.say(c.onward())
		}
		return code
	}
	for _, note := range d.notes {
		c.say(note)
	}
	if d.exec != nil {
		return c.exec(ctx, s, d.exec)
	}
	return done
}

// flagsIn is what may be a flag: after a -- nothing is.
func flagsIn(words []string) []string {
	if i := slices.Index(words, "--"); i >= 0 {
		return words[:i]
	}
	return words
}

// asksHelp is true for `VERB --help`; after a -- it is an argument like any other.
func asksHelp(args []string) bool { return len(args) > 0 && isHelp(args[0]) }

func isHelp(word string) bool { return word == "--help" || word == "-h" }

// plain is the arguments without the -- that ends the client's own.
func plain(args []string) []string {
	if len(args) > 0 && args[0] == "--" {
		return args[1:]
	}
	return args
}

// verbs lists what the running version can do, or the one verb that help was asked for.
func (c *call) verbs(ctx context.Context, s *control.Service) int {
	ctx, stop := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("no answer within %s", answerTime))
	defer stop()
	verbs, version, err := s.Verbs(ctx)
	if err != nil {
		return c.fail(err)
	}
	if i := slices.IndexFunc(verbs, func(v describe.Verb) bool { return len(c.args) > 0 && v.Name == c.args[0] }); i >= 0 {
		c.table(verbs[i : i+1])
		c.manual(verbs[i])
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
		fmt.Fprintf(w, "  %s %s\t%s\n", c.command, usageOf(v), v.Short)
	}
}

func usageOf(v describe.Verb) string {
	usage := strings.TrimSpace(v.Name + " " + v.Args)
	if len(v.Flags) > 0 {
		usage += " [FLAGS]"
	}
	return usage
}

// manual shows the flags of a verb, and examples.
func (c *call) manual(v describe.Verb) {
	w := tabwriter.NewWriter(c.out, 0, 0, 3, ' ', 0)
	for i, f := range v.Flags {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "  %s\t%s\n", strings.TrimSpace("--"+f.Name+" "+f.Arg), f.Short)
	}
	_ = w.Flush()
	if v.Examples != "" {
		fmt.Fprintf(c.out, "\nExamples:\n  %s\n", strings.ReplaceAll(strings.TrimSpace(v.Examples), "\n", "\n  "))
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
	verbs, err := c.verbsOf(ctx, name)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, v := range verbs {
		names = append(names, v.Name)
	}
	return names, nil
}

func (c *call) verbsOf(ctx context.Context, name string) ([]describe.Verb, error) {
	ctx, stop := context.WithTimeout(ctx, listTime)
	defer stop()
	s, err := control.DialService(c.dir, name)
	if err != nil {
		return nil, err
	}
	verbs, _, err := s.Verbs(ctx)
	return verbs, err
}
