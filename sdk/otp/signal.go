package otp

import "errors"

// signal has the process do something between two messages, before all mail. It is never refused.
func (p *process) signal(do func(c *Ctx)) {
	if p.ended.Load() {
		do(nil)
		return
	}
	p.signals.put(&mail{body: signal(do)})
	p.wakeOrRefuse()
}

// SendExit sends an exit signal, as exit/2: ErrKilled ends any process at once, ErrNormal nobody but the sender itself,
// other reasons those that do not trap exits.
func SendExit[A Addr](s Scope, to A, reason error) {
	g, err := s.node().enter(s)
	if err != nil {
		return
	}
	defer g.leave()
	p := to.resolve(s.node())
	if p == nil {
		return
	}
	var from PID
	if c := s.caller(); c != nil {
		from = c.Self()
	}
	p.exit(from, orNormal(reason), from == p.pid)
}

// exit is what an exit signal does.
func (p *process) exit(from PID, reason error, own bool) {
	switch {
	case reason == ErrKilled: // not one that wraps it: a linked process that was killed is no kill
		p.kill()
	case p.kind().trap:
		p.tell(Exited{PID: from, Reason: reason})
	case errors.Is(reason, ErrNormal) && !own:
	default:
		p.signal(func(c *Ctx) {
			if c != nil {
				p.end(reason, nil)
			}
		})
	}
}

// kill is untrappable, and seen as ErrKilled by others.
func (p *process) kill() { p.end(ErrKilled, nil) }

// shutdown is a parent's word: Terminate runs if the behaviour traps exits, as in gen_server.
func (p *process) shutdown(reason error) {
	p.signal(func(c *Ctx) {
		if c == nil {
			return
		}
		if p.kind().trap {
			p.terminate(c, reason)
		}
		p.end(reason, nil)
	})
}
