package resp

import (
	"errors"
	"sync"

	"github.com/tidwall/redcon"

	"github.com/theseusd/theseus/sdk/serve"
)

// MaxPush is how many bytes of pushed messages may wait for a client that does not take them; then it is hung up.
const MaxPush = 8 << 20

// push is what a client gets without asking. Its messages come between replies, never within one.
type push struct {
	on   bool // the loop's own
	used bool // so is this: it was on once, and somebody may still push

	mu    sync.Mutex
	proto int
	busy  bool   // the loop answers commands: messages wait for its end
	queue []byte // those
}

// Pushing says whether the connection gets messages that are no replies; a connection that does is told to
// [Server.Resume] and [Server.Closed]. What is pushed while it does not is still sent between two replies, if it did once.
func (c *Conn) Pushing(on bool) {
	if c.push.on == on {
		return
	}
	c.push.on, c.push.used, c.dirty = on, true, true
	c.push.mu.Lock()
	defer c.push.mu.Unlock()
	c.push.proto, c.push.busy = c.proto, true // for a command is in hand
}

// Push sends a message of parts to the client, whole, between two replies, and never waits. A client that leaves more
// than MaxPush bytes of messages untaken is hung up. Any goroutine may call it.
func (c *Conn) Push(parts ...[]byte) error {
	p := &c.push
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.message(parts)
	if p.busy && len(p.queue)+len(b) <= MaxPush {
		p.queue = append(p.queue, b...)
		return nil
	}
	err := serve.ErrSlow
	if !p.busy {
		err = c.c.Push(b, MaxPush)
	}
	if errors.Is(err, serve.ErrSlow) {
		go func() { _ = c.c.Close() }()
	}
	return err
}

func (p *push) message(parts [][]byte) []byte {
	b := redcon.AppendArray(nil, len(parts))
	if p.proto == 3 {
		b[0] = '>'
	}
	for _, part := range parts {
		b = redcon.AppendBulk(b, part)
	}
	return b
}

// speaks tells the protocol to those who push.
func (p *push) speaks(proto int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proto = proto
}

// begin takes note that commands are being answered.
func (p *push) begin() {
	if !p.used {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = true
}

// leave ends the time of commands; send gets the messages that have waited for that.
func (p *push) leave(send func([]byte)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	send(p.queue)
	p.busy, p.queue = false, nil
}

// settle sends what there is to send, and keeps what has to travel, before the next commands are waited for.
func (c *Conn) settle() {
	c.flush()
	c.keep()
	if !c.push.used {
		return
	}
	c.push.leave(func(queue []byte) {
		if len(queue) > 0 {
			c.failed = errors.Join(c.failed, c.c.Push(queue, 2*MaxPush))
		}
	})
}
