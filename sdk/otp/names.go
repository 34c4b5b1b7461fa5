package otp

import (
	"slices"
	"sync"
)

// names are the processes that are registered.
type names struct {
	mu     sync.RWMutex
	unique map[Name]PID
}

// Register gives a process a name, until it ends. Errors are ErrTaken, an *Exit if the process has ended, and ErrAsleep.
func Register(s Scope, name Name, pid PID) error {
	n := s.node()
	g, err := n.enter(s)
	if err != nil {
		return err
	}
	defer g.leave()
	p := pid.resolve(n)
	if p == nil {
		return &Exit{PID: pid, Reason: ErrNoProc}
	}
	return n.register(name, p)
}

func (n *Node) register(name Name, p *process) error {
	n.bearer(name) // one of an earlier version has it from now on
	if err := n.give(name, p); err != nil {
		return err
	}
	if n.ledger == nil || !p.kind().persist && !n.keeping.on.Load() {
		return nil
	}
	if err := n.noteName(name, p.pid); err != nil {
		n.unname(name, p)
		return err
	}
	return nil
}

func (n *Node) give(name Name, p *process) error {
	n.names.mu.Lock()
	defer n.names.mu.Unlock()
	if _, taken := n.names.unique[name]; taken {
		return ErrTaken
	}
	if !p.with(func(m *more) { m.names = append(m.names, name) }) {
		return &Exit{PID: p.pid, Reason: ErrNoProc}
	}
	n.names.unique[name] = p.pid
	return nil
}

// bearer is the PID that has a name, 0 if none has.
func (n *Node) bearer(name Name) PID {
	n.names.mu.RLock()
	pid := n.names.unique[name]
	n.names.mu.RUnlock()
	if pid == 0 {
		pid = n.bearerInLog(name)
	}
	return pid
}

// Unregister frees a name.
func Unregister(s Scope, name Name) {
	n := s.node()
	g, err := n.enter(s)
	if err != nil {
		return
	}
	defer g.leave()
	if p := name.resolve(n); p != nil {
		n.unname(name, p)
	}
}

func (n *Node) unname(name Name, p *process) {
	p.with(func(m *more) { m.names = slices.DeleteFunc(m.names, func(o Name) bool { return o == name }) })
	n.unregister(p.pid, []Name{name})
}

// WhereIs returns the process of a name, 0 if there is none, or the node sleeps.
func WhereIs(s Scope, name Name) PID {
	g, err := s.node().enter(s)
	if err != nil {
		return 0
	}
	defer g.leave()
	return s.node().bearer(name)
}

func (n *Node) unregister(pid PID, list []Name) {
	if len(list) == 0 {
		return
	}
	n.names.mu.Lock()
	defer n.names.mu.Unlock()
	for _, name := range list {
		if n.names.unique[name] == pid {
			delete(n.names.unique, name)
			n.dropName(name)
		}
	}
}

// bearerInLog is the PID of a process that waits in the log and has a name.
func (n *Node) bearerInLog(name Name) PID {
	if !n.lazy.Load() {
		return 0
	}
	pid, ok := n.ledger.names.Get(string(name))
	if !ok || n.find(pid) == nil {
		return 0
	}
	n.names.mu.RLock()
	defer n.names.mu.RUnlock()
	return n.names.unique[name]
}

// noteName writes a name that another version, or this one after a crash, has to know, if the process still has it.
func (n *Node) noteName(name Name, pid PID) error {
	n.names.mu.Lock()
	defer n.names.mu.Unlock()
	if n.names.unique[name] != pid {
		return nil
	}
	return n.ledger.names.Put(string(name), pid)
}

// dropName takes a name out of the log.
func (n *Node) dropName(name Name) {
	if n.ledger == nil || n.phase.now.Load() == asleep {
		return
	}
	if _, err := n.ledger.names.Delete(string(name)); err != nil {
		n.ledger.log.Warn("a name that is free stays in the log", "name", name, "error", err)
	}
}
