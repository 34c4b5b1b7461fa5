// Command theseus is the client of the services of an instance. Linked under the name of a service's command it is
// that command: `visits hit ada` is `theseus visits hit ada`. The verbs come from the version that runs, so an upgrade
// brings its own along; the daemon is not needed for them.
//
// Answers go to stdout, errors and hints to stderr. It ends with 0 when done, 1 when the verb failed, 2 when it was
// called wrongly and 3 when nothing is there to talk to.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// Exit codes.
const (
	done        = 0
	failed      = 1
	wrongUsage  = 2
	unreachable = 3
)

// answerTime is how long a verb may take to answer.
const answerTime = 30 * time.Second

// self is the name under which this program is no service's command.
const self = "theseus"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// call is one use of the program.
type call struct {
	command  string // of a service; empty for theseus itself
	dir      string
	help     bool
	version  bool
	args     []string
	lost     lost
	in       io.Reader // what goes to the verb; nil for nothing
	out, err io.Writer
}

// run does what argv says and returns the exit code.
func run(ctx context.Context, argv []string, out, err io.Writer) int {
	c := &call{out: out, err: err, args: argv[1:]}
	if name := filepath.Base(argv[0]); name != self {
		c.command = name
	}
	if wrong := c.flags(); wrong != "" {
		return c.usage(wrong)
	}
	if c.command == "" {
		return c.own(ctx)
	}
	return c.service(ctx)
}

// flags takes the flags before the first word; what follows belongs to the verb. It returns what is wrong with them.
func (c *call) flags() string {
	for len(c.args) > 0 && strings.HasPrefix(c.args[0], "-") {
		flag, value, given := strings.Cut(c.args[0], "=")
		c.args = c.args[1:]
		switch {
		case flag == "--help" || flag == "-h":
			c.help = true
		case flag == "--version" && c.command == "":
			c.version = true
		case flag == "--dir" && given:
			c.dir = value
		case flag == "--dir" && len(c.args) > 0:
			c.dir, c.args = c.args[0], c.args[1:]
		case flag == "--dir":
			return "--dir needs a directory"
		default:
			return "unknown flag " + flag
		}
	}
	return ""
}

// own is theseus without a service's name.
func (c *call) own(ctx context.Context) int {
	switch {
	case c.version:
		fmt.Fprintln(c.out, self, control.Version)
		return done
	case len(c.args) == 0 && c.help:
		return c.how()
	case len(c.args) == 0 || c.args[0] == "help":
		return c.list(ctx)
	case c.args[0] == treeCommand:
		return c.tree(ctx)
	case c.args[0] == "completion":
		return c.completion()
	case c.args[0] == "__complete":
		return c.complete(ctx, os.Getenv("COMP_LINE"))
	}
	c.command, c.args = c.args[0], c.args[1:]
	if wrong := c.flags(); wrong != "" {
		return c.usage(wrong)
	}
	return c.service(ctx)
}

// how says what the program is for.
func (c *call) how() int {
	fmt.Fprint(c.out, `theseus asks the services of an instance.

  theseus                          the services and their verbs
  theseus SERVICE                  the verbs of one
  theseus SERVICE VERB ARGS...     run a verb; linked under the service's command: SERVICE VERB ARGS...
  theseus tree                     who supervises whom: states, versions, restarts (theseus tree --help)
  theseus completion bash          completion for the shell: source <(theseus completion bash)

  --dir DIR    the instance (default: $THESEUS_DIR, else the nearest folder above with a .theseus)
  --version    the version of this program

Exit codes: 0 done, 1 the verb failed, 2 called wrongly, 3 the service does not run.
`)
	return done
}

// name is how the program calls itself in messages.
func (c *call) name() string {
	if c.command == "" {
		return self
	}
	return c.command
}
