package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// Exit codes of a command, as a shell gives them.
const (
	notFound   = 127
	notStarted = 126
	bySignal   = 128 // and the number of the signal
)

// reportTime bounds the wait for a service that is told how a command went.
const reportTime = 10 * time.Second

// exec runs what the person has written behind the --, and nothing that the service says; then the service is told how
// it went. This process outlives the command, whatever signals come.
func (c *call) exec(ctx context.Context, s *control.Service, e *control.Exec) int {
	at := slices.Index(c.args, "--")
	if at < 0 || at+1 == len(c.args) {
		c.say("the service wants to have a command run, and there is none behind a --")
		return wrongUsage
	}
	began := time.Now()
	code := c.runCommand(c.args[at+1:])
	took := time.Since(began)
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), reportTime)
	defer stop()
	args := append(slices.Clone(e.Args), "--exit", strconv.Itoa(code), "--took", took.String())
	if _, err := s.Call(ctx, e.Verb, args...); err != nil {
		c.say(fmt.Sprintf("the command ended with %d, and the service could not be told: %v", code, err))
	}
	return code
}

// runCommand gives the command this process's terminal and waits for its end.
func (c *call) runCommand(argv []string) (code int) {
	signals := outlive()
	defer signal.Stop(signals)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, c.out, c.err
	if err := cmd.Start(); err != nil {
		c.say(err.Error())
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			return notFound
		}
		return notStarted
	}
	ended := make(chan struct{})
	go pass(signals, cmd.Process, ended)
	err := cmd.Wait()
	close(ended)
	return codeOf(cmd.ProcessState, err)
}

// outlive takes the signals that would end this process. One that it was started to ignore stays ignored, here and in the
// command.
func outlive() chan os.Signal {
	signals := make(chan os.Signal, 8)
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(sig) {
			signal.Notify(signals, sig)
		}
	}
	return signals
}

// pass passes a SIGTERM on. The other signals come from the terminal, which has sent them to the command as well; many a
// command takes a second one for an order to drop everything.
func pass(signals <-chan os.Signal, to *os.Process, ended <-chan struct{}) {
	for {
		select {
		case sig := <-signals:
			if sig == syscall.SIGTERM {
				_ = to.Signal(sig)
			}
		case <-ended:
			return
		}
	}
}

func codeOf(state *os.ProcessState, err error) int {
	if w, ok := state.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return bySignal + int(w.Signal())
	}
	if code := state.ExitCode(); code != 0 || err == nil {
		return code
	}
	return failed
}
