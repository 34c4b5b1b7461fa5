package otp

// Waiting is how many messages wait in the bounded mailboxes of all processes. It looks at each of them, and at no
// instant in particular.
func (n *Node) Waiting() (messages uint64) {
	n.procs.each(func(p *process) bool {
		messages += uint64(max(p.held.Load(), 0))
		return true
	})
	return messages
}
