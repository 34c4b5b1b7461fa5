package otp

import (
	"slices"
	"sync/atomic"
)

// mail is one message on its way, or one signal. That of a call is part of its pending.
type mail struct {
	next    *mail
	body    any
	reply   reply // of a call
	counted bool  // towards the bound of the mailbox
	taken   bool  // out of the mailbox, to be handled: of a call
}

// signal is the body of mail that is no message; c is nil if the process has ended.
type signal func(c *Ctx)

func (m *mail) do(c *Ctx) { m.body.(signal)(c) }

// spares is mail that a process has handled. It goes back to the node by the chain, since a sender on another processor
// has to get it from there.
type spares struct {
	first *mail
	count int
}

const chain = 32

func (s *spares) add(n *Node, m *mail) {
	*m = mail{next: s.first}
	s.first = m
	if s.count++; s.count == chain {
		s.flush(n)
	}
}

func (s *spares) flush(n *Node) {
	if s.first != nil {
		n.mails.Put(s.first)
		*s = spares{}
	}
}

// mail returns an empty one.
func (n *Node) mail() *mail {
	m := n.mails.Get().(*mail)
	if m.next != nil {
		n.mails.Put(m.next)
		m.next = nil
	}
	return m
}

// newMail is a chain.
func newMail() any {
	var list [chain]mail
	for i := range list[1:] {
		list[i].next = &list[i+1]
	}
	return &list[0]
}

// inbox is a queue that many fill and the process empties, or whoever ends it.
type inbox struct {
	head atomic.Pointer[mail] // the newest first
	list atomic.Pointer[mail] // the oldest first: what the process has taken over
}

func (q *inbox) put(m *mail) {
	for {
		head := q.head.Load()
		m.next = head
		if q.head.CompareAndSwap(head, m) {
			return
		}
	}
}

// take returns the oldest message, or nil. Only the process's own goroutine calls it. It fails to get a message only
// if somebody has drained the queue, and then the message is theirs.
func (q *inbox) take() *mail {
	m := q.list.Load()
	if m == nil {
		if m = q.arrived(); m == nil {
			return nil
		}
		q.list.Store(m.next)
		return m
	}
	if !q.list.CompareAndSwap(m, m.next) {
		return nil
	}
	return m
}

// arrived takes all that was put, the oldest first.
func (q *inbox) arrived() (list *mail) {
	if q.head.Load() == nil {
		return nil
	}
	for m := q.head.Swap(nil); m != nil; {
		next := m.next
		m.next = list
		list, m = m, next
	}
	return list
}

// drain empties the queue of a process that has ended. Any goroutine may do it; each message comes out once, and is
// not used again, for the process's own goroutine may still look at it.
func (q *inbox) drain(f func(*mail)) {
	for m := q.list.Swap(nil); m != nil; m = m.next {
		f(m)
	}
	for m := q.arrived(); m != nil; m = m.next {
		f(m)
	}
}

// each shows all that waits, the oldest first, and takes nothing. Nobody may empty the queue meanwhile.
func (q *inbox) each(f func(*mail)) {
	for m := q.list.Load(); m != nil; m = m.next {
		f(m)
	}
	var newest []*mail
	for m := q.head.Load(); m != nil; m = m.next {
		newest = append(newest, m)
	}
	for _, m := range slices.Backward(newest) {
		f(m)
	}
}

func (q *inbox) empty() bool { return q.list.Load() == nil && q.head.Load() == nil }
