package protocol

import "sync"

// register is all clients.
type register struct {
	mu   sync.Mutex
	list []*client
	next int // whose turn it is
}

func (r *register) add(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.at = uint32(len(r.list))
	r.list = append(r.list, c)
}

// remove moves another one into the client's place, who may miss a turn.
func (r *register) remove(c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := len(r.list) - 1
	moved := r.list[end]
	r.list[c.at], moved.at = moved, c.at
	r.list[end] = nil
	r.list = r.list[:end]
}

// turn is the next of so many parts of all.
func (r *register) turn(parts int) (list []*client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range (len(r.list) + parts - 1) / parts {
		if r.next >= len(r.list) {
			r.next = 0
		}
		list = append(list, r.list[r.next])
		r.next++
	}
	return list
}

func (r *register) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.list)
}
