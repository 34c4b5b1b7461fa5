package supervise

import "context"

// Start starts one incarnation of a child and returns when it is ready, or an error when it is not going to be;
// [ErrIgnore] says that there is nothing to run. ctx bounds the start alone: it ends when Start returns, and earlier
// when the supervisor is told to stop. arg is what StartDynamic was given, else nil.
//
// The child calls exit once, with the reason, when it has ended, and may do so before Start returns. Exit never
// blocks; later calls do nothing.
type Start func(ctx context.Context, arg any, exit func(reason error)) (Child, error)

// Child is one incarnation of something that runs. A goroutine, a process of the operating system and an actor differ
// in how these two are done; how the end is seen is the same for all: exit is called. Neither may block.
type Child interface {
	// Stop asks for the end. What ends because of it reports reason.
	Stop(reason error)
	// Kill ends it unasked. It returns false if that is not in its power: then the supervisor does not wait.
	Kill() bool
}

// child is a place in a supervisor: a spec, and what runs by it now.
type child struct {
	id         string
	spec       *ChildSpec // dynamic children share their template
	arg        any        // dynamic children only, and not if temporary
	now        *incarnation
	restarting bool
	restarts   int

	prev, next *child
}

func (c *child) state() State {
	switch {
	case c.now != nil:
		return Running
	case c.restarting:
		return Restarting
	}
	return Stopped
}

// children are kept in start order and found by id.
type children struct {
	first, last *child
	byID        map[string]*child
}

func (k *children) add(c *child) {
	c.prev, c.next = k.last, nil
	if k.last == nil {
		k.first = c
	} else {
		k.last.next = c
	}
	k.last = c
	k.byID[c.id] = c
}

func (k *children) remove(c *child) {
	if c.prev == nil {
		k.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		k.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	delete(k.byID, c.id)
}

// from lists c and those started after it, in start order.
func (k *children) from(c *child) []*child {
	var all []*child
	for ; c != nil; c = c.next {
		all = append(all, c)
	}
	return all
}
