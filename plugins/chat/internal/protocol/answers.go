package protocol

import "github.com/centrifugal/protocol"

// answers collects what is said to the commands of a frame, and says it in frames of some size.
type answers struct {
	c    *client
	list [][]byte
	size int
}

// add is false when no more can be said.
func (a *answers) add(r *protocol.Reply, bye *farewell) bool {
	if bye != nil {
		a.flush() // what came before it is done
		a.c.close(bye)
		return false
	}
	if r == nil {
		return true
	}
	b, ok := a.words(r)
	if ok && a.size+len(b) > a.c.s.o.Queue/2 {
		ok = a.flush()
	}
	a.list, a.size = append(a.list, b), a.size+len(b)
	return ok
}

// words is an answer as it is said. One that does not fit into what may wait for a client is refused.
func (a *answers) words(r *protocol.Reply) ([]byte, bool) {
	b, ok := a.c.words(r)
	switch {
	case !ok || len(b) <= a.c.s.o.Queue/2:
		return b, ok
	case len(b) > a.c.s.o.Queue-envelope:
		return a.c.words(&protocol.Reply{Id: r.Id, Error: errLimit.reply()})
	case len(b) > a.c.conn.Free()-envelope:
		return a.c.words(&protocol.Reply{Id: r.Id, Error: errTooMany.reply()})
	}
	return b, true
}

// envelope is more than what a frame adds to an answer.
const envelope = 32

func (a *answers) flush() bool {
	said := a.c.sayWords(a.list...)
	a.list, a.size = nil, 0
	return said
}
