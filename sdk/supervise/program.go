package supervise

import (
	"os/exec"
	"sync"
	"syscall"
)

// Program makes a child of a process of the operating system that cmd has started. Shutdown sends SIGTERM and Kill
// SIGKILL, which unlike that of a goroutine ends it for certain. Its reason is nil if it exited with 0, the reason that
// it was asked to end for if it died of the SIGTERM, and else the *exec.ExitError. Nobody else may call cmd.Wait.
func Program(cmd *exec.Cmd) Child {
	p := &program{cmd: cmd}
	go p.wait()
	return p
}

type program struct {
	cmd *exec.Cmd

	mu       sync.Mutex
	asked    error // by Shutdown
	killed   bool
	over     bool
	reason   error
	watchers []func(error)
}

var _ Child = (*program)(nil)

func (p *program) wait() {
	err := p.cmd.Wait()
	p.mu.Lock()
	p.over, p.reason = true, p.because(err)
	watchers := p.watchers
	p.watchers = nil
	p.mu.Unlock()
	for _, f := range watchers {
		f(p.reason)
	}
}

// because is the reason of the end; the caller holds mu.
func (p *program) because(err error) error {
	ws, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case p.killed && ws.Signaled() && ws.Signal() == syscall.SIGKILL:
		return ErrKilled
	case p.asked != nil && ws.Signaled() && ws.Signal() == syscall.SIGTERM:
		return p.asked
	}
	return err
}

func (p *program) Watch(f func(reason error)) {
	p.mu.Lock()
	over := p.over
	if !over {
		p.watchers = append(p.watchers, f)
	}
	p.mu.Unlock()
	if over {
		f(p.reason)
	}
}

func (p *program) Shutdown(reason error) {
	p.mu.Lock()
	p.asked = reason
	p.mu.Unlock()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // to one that is gone it means nothing
}

func (p *program) Kill() {
	p.mu.Lock()
	p.killed = true
	p.mu.Unlock()
	_ = p.cmd.Process.Kill()
}
