package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/theseusd/theseus/sdk/control"
)

// fail says what went wrong and what to do, and returns the exit code.
func (c *call) fail(err error) int {
	var dial *control.DialError
	var wrong *control.UsageError
	var verb *control.VerbError
	var gone *control.LostError
	switch {
	case errors.As(err, &dial):
		return c.notThere(dial)
	case errors.As(err, &wrong):
		return c.wrongVerb(wrong)
	case errors.As(err, &verb):
		c.say(verb.Message)
		c.say(verb.Hint)
	case errors.As(err, &gone):
		c.say(gone.Error())
		c.say("now: " + c.now())
	default:
		c.say(err.Error())
	}
	return failed
}

// now says what has become of a service that ended, once another process of it answers; not for long.
func (c *call) now() string {
	ctx, stop := context.WithTimeout(context.Background(), listTime)
	defer stop()
	if s, err := control.DialService(c.dir, c.command); err == nil {
		_, _, _ = s.Verbs(ctx) // it waits for whoever serves next
	}
	ctx, stop = context.WithTimeout(context.Background(), listTime)
	defer stop()
	d, err := control.Dial(c.dir)
	if err != nil {
		return err.Error()
	}
	defer d.Close()
	st, err := d.Status(ctx)
	if err != nil {
		return "it is not known, as the daemon does not say: " + err.Error()
	}
	for _, s := range st.Services {
		if s.Command == c.command || s.Name == c.command {
			return standing(s)
		}
	}
	return "no service has the command " + c.command
}

// standing is one service as it stands, in a line.
func standing(s control.ServiceStatus) string {
	text := fmt.Sprintf("%s %s is %s", s.Name, s.Version, s.State)
	if s.PID > 0 {
		text += fmt.Sprintf(", pid %d", s.PID)
	}
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	return text + "; what happened: reltool history --service " + s.Name
}

// wrongVerb says how the verb is to be called.
func (c *call) wrongVerb(e *control.UsageError) int {
	c.say(e.Message)
	if e.Usage != "" {
		c.say("usage: " + c.command + " " + e.Usage)
	} else {
		c.say("its verbs: " + c.command + " --help")
	}
	return wrongUsage
}

// notThere tells an instance without this service from one that does not run.
func (c *call) notThere(e *control.DialError) int {
	there := control.Listening(e.Dir)
	switch {
	case there && errors.Is(e.Err, syscall.ECONNREFUSED):
		c.say(c.command + " is not up")
		c.say("see: reltool status")
		return unreachable
	case !there || !errors.Is(e.Err, fs.ErrNotExist):
		c.say(e.Error())
		c.say(e.Hint())
		return unreachable
	}
	c.say(fmt.Sprintf("no service has the command %q in %s", c.command, e.Dir))
	if names, err := control.Sockets(e.Dir); err == nil && len(names) > 0 {
		c.say("there are: " + strings.Join(names, " "))
	}
	return wrongUsage
}

func (c *call) usage(wrong string) int {
	c.say(wrong)
	if c.command == "" {
		c.say("usage: theseus [--dir DIR] SERVICE VERB [ARGS...]   or   theseus tree   or   theseus completion bash|zsh|fish")
	} else {
		c.say("usage: " + c.command + " [--dir DIR] VERB [ARGS...]")
	}
	return wrongUsage
}

// say prints a message to stderr, each line under the name of the command.
func (c *call) say(text string) {
	if text == "" {
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(c.err, "%s: %s\n", c.name(), line)
	}
}
