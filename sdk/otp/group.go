package otp

import (
	"slices"
	"sync"
)

// groups are the topics of a node and who has joined them, as in pg.
type groups struct {
	mu     sync.RWMutex
	topics map[string]*topic
}

// topic has a list that is never changed, only replaced: a publisher reads it without a lock.
type topic struct{ members []*process }

// Join makes this process a member of a topic, once more if it is one already. Its end is its leaving.
func (c *Ctx) Join(name string) {
	g := &c.p.n.groups
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.p.with(func(m *more) { m.topics = append(m.topics, name) }) {
		g.addLocked(name, c.p)
	}
}

func (g *groups) add(name string, p *process) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.addLocked(name, p)
}

func (g *groups) addLocked(name string, p *process) {
	var members []*process
	if t := g.topics[name]; t != nil {
		members = t.members
	}
	g.topics[name] = &topic{append(slices.Clip(members), p)}
}

// Leave undoes one Join.
func (c *Ctx) Leave(name string) {
	found := false
	c.p.with(func(m *more) {
		if i := slices.Index(m.topics, name); i >= 0 {
			m.topics, found = slices.Delete(m.topics, i, i+1), true
		}
	})
	if found {
		c.p.n.groups.leaveAll(c.p, []string{name})
	}
}

func (g *groups) leaveAll(p *process, names []string) {
	if len(names) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range names {
		t := g.topics[name]
		if t == nil {
			continue
		}
		i := slices.Index(t.members, p)
		switch {
		case i < 0:
		case len(t.members) == 1:
			delete(g.topics, name)
		default:
			g.topics[name] = &topic{slices.Delete(slices.Clone(t.members), i, i+1)}
		}
	}
}

// Members lists the processes of a topic; one that joined twice is there twice.
func Members(s Scope, name string) []PID {
	n := s.node()
	g, err := n.enter(s)
	if err != nil {
		return nil
	}
	defer g.leave()
	n.awaitLoaded(s)
	n.groups.mu.RLock()
	defer n.groups.mu.RUnlock()
	t := n.groups.topics[name]
	if t == nil {
		return nil
	}
	list := make([]PID, len(t.members))
	for i, p := range t.members {
		list[i] = p.pid
	}
	return list
}

// Publish casts a message to every member of a topic. shed is how many refused it, because their mailboxes are full.
func Publish(s Scope, name string, message any) (delivered, shed int) {
	n := s.node()
	g, err := n.enter(s)
	if err != nil {
		return 0, 0
	}
	defer g.leave()
	n.awaitLoaded(s)
	n.groups.mu.RLock()
	t := n.groups.topics[name]
	n.groups.mu.RUnlock()
	if t == nil {
		return 0, 0
	}
	for _, p := range t.members {
		if p.send(message) == nil {
			delivered++
		} else {
			shed++
		}
	}
	return delivered, shed
}
