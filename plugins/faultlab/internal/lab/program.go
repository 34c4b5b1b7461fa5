package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
)

// programs is a crew of processes of the operating system, started as the daemon starts services: without a terminal, in a
// process group of their own, with next to nothing of the environment, ready when they have said so on a pipe.
type programs struct {
	self string // a program that calls Work when its first argument is WorkArg

	mu      sync.Mutex
	running map[*exec.Cmd]bool
	none    *sync.Cond
}

func newPrograms(self string) *programs {
	p := &programs{self: self, running: map[*exec.Cmd]bool{}}
	p.none = sync.NewCond(&p.mu)
	return p
}

func (p *programs) start(ctx context.Context, b birth) (supervise.Child, hand, error) {
	line, err := p.launch(b)
	if err != nil {
		return nil, nil, err
	}
	child := supervise.Program(line.cmd)
	child.Watch(func(error) { p.gone(line) })
	if err := line.greeted(ctx); err != nil {
		child.Kill()
		return nil, nil, err
	}
	return child, line, nil
}

// launch executes the program with two pipes. When the lab dies, its end of them closes and the program ends.
func (p *programs) launch(b birth) (*wire, error) {
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirIn.Close()
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		ourOut.Close()
		return nil, err
	}
	defer theirOut.Close()
	cmd := exec.Command(p.self, WorkArg, b.slow.String(), fmt.Sprint(b.refuse))
	cmd.Stdin, cmd.Stdout, cmd.Env = theirIn, theirOut, environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, ourOut.Close(), ourIn.Close())
	}
	p.running[cmd] = true
	return &wire{cmd: cmd, out: ourOut, in: ourIn, lines: bufio.NewReader(ourIn)}, nil
}

// environ is what a worker knows of the environment: what its runtime heeds.
func environ() []string {
	env := []string{}
	for _, name := range []string{"GOMAXPROCS", "GORACE", "GOCOVERDIR"} {
		if value, there := os.LookupEnv(name); there {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func (p *programs) gone(w *wire) {
	_ = w.out.Close()
	_ = w.in.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, w.cmd)
	p.none.Broadcast()
}

func (p *programs) abort() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for cmd := range p.running {
		_ = cmd.Process.Kill()
	}
}

// close leaves nothing: a process can always be ended.
func (p *programs) close() (Remains, error) {
	p.abort()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.running) > 0 {
		p.none.Wait()
	}
	return Remains{}, nil
}

// wire is one program.
type wire struct {
	cmd   *exec.Cmd
	out   *os.File
	in    *os.File
	lines *bufio.Reader
}

// greeted returns when the program is ready.
func (w *wire) greeted(ctx context.Context) error {
	line, err := w.read(ctx)
	switch {
	case err == io.EOF:
		return errors.New("it ended before it was ready")
	case err != nil:
		return err
	case line != "ready":
		return errors.New(line)
	}
	return nil
}

// read returns the next line, or the cause of the context's end.
func (w *wire) read(ctx context.Context) (string, error) {
	stop := context.AfterFunc(ctx, func() { _ = w.in.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := w.lines.ReadString('\n')
	if err != nil && ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return strings.TrimSpace(line), err
}

func (w *wire) ask(ctx context.Context) (leaked int, err error) {
	if err := w.say("ask"); err != nil {
		return 0, err
	}
	line, err := w.read(ctx)
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscanf(line, "well %d", &leaked)
	return leaked, err
}

func (w *wire) hurt(f Fault) error {
	if f == Kill9 {
		return w.cmd.Process.Signal(syscall.SIGKILL)
	}
	return w.say(string(f))
}

func (w *wire) say(word string) error {
	_, err := fmt.Fprintln(w.out, word)
	return err
}
