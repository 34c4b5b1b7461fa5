package otp

// Waiting is how many messages wait in the bounded mailboxes of all processes. It looks at each of them, and at no
// instant in particular.
func (n *Node) Waiting() (messages uint64) {
	for i := range n.procs.chunks {
		c := n.procs.chunks[i].Load()
		if c == nil {
			break
		}
		for j := range c.procs {
			if p := c.procs[j].Load(); p != nil {
				messages += uint64(max(p.held.Load(), 0))
			}
		}
	}
	return messages
}
