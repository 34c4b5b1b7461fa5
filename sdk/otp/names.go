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

// Register gives a process a name, until it ends. Errors are ErrTaken and an *Exit if it has ended.
func (n *Node) Register(name Name, pid PID) error {
	g, err := n.enter(n)
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
	return n.noteName(name, p)
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
func (n *Node) Unregister(name Name) {
	g, err := n.enter(n)
	if err != nil {
		return
	}
	defer g.leave()
	p := n.find(n.bearer(name))
	if p == nil {
		return
	}
	p.with(func(m *more) { m.names = slices.DeleteFunc(m.names, func(o Name) bool { return o == name }) })
	n.unregister(p.pid, []Name{name})
}

// WhereIs returns the process of a name, 0 if there is none.
func (n *Node) WhereIs(name Name) PID { return n.bearer(name) }

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
