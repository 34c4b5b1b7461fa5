package resp

import "encoding/binary"

// hold is the commands that the next process is to read again, and those that this one has to.
type hold struct {
	now   bool   // the command in hand is held
	raw   []byte // the held commands as they came
	n     int    // how many
	again int    // commands still to be read again here
	muted bool   // the one in hand is: its replies were sent long ago
	mark  int    // of the replies before it
}

// Hold keeps the command in hand: if the connection is handed over, the next process reads it again, with those held
// before it, and its handler runs them once more, with Again being true and without a reply. It is for commands that are
// only remembered, such as those in a transaction.
func (c *Conn) Hold() { c.hold.now = true }

// Held is how many bytes of commands are held.
func (c *Conn) Held() int { return len(c.hold.raw) }

// Release forgets what is held.
func (c *Conn) Release() {
	c.dirty = c.dirty || c.hold.n > 0
	c.hold.now, c.hold.raw, c.hold.n = false, nil, 0
}

// Again is true while a command is run that another process has run, and held, before.
func (c *Conn) Again() bool { return c.hold.muted }

// held is what was held, for whoever reads it again.
func (h *hold) held() []byte { return h.raw }

// heldBack keeps the command that was run, if it is held.
func (c *Conn) heldBack(raw []byte) {
	if !c.hold.now {
		return
	}
	c.hold.now = false
	c.hold.raw = append(c.hold.raw, raw...)
	c.hold.n++
	c.dirty = true
}

func (c *Conn) replays() bool { return c.hold.again > 0 }

// again runs a command that was held elsewhere.
func (l *loop) again(args [][]byte, raw []byte) {
	c := &l.c
	c.hold.again--
	c.dirty = true // one less travels, unless it is held once more
	c.hold.muted, c.hold.mark = true, len(c.out)
	l.s.Handle(c, args)
	c.out, c.hold.muted = c.out[:c.hold.mark], false
	c.heldBack(raw)
}

// What travels in front of the handler's session: the protocol and, if pushes are wanted, a bit; then how many commands
// are to be read again.
const (
	pushBit     = 0x80
	sessionHead = 1 + binary.MaxVarintLen64
)

func wantsPushes(session []byte) bool { return len(session) > 0 && session[0]&pushBit != 0 }

// keep makes all that the next process must know travel with the connection, if it has changed.
func (c *Conn) keep() {
	if !c.dirty {
		return
	}
	head := byte(c.proto)
	if c.push.on {
		head |= pushBit
	}
	s := binary.AppendUvarint([]byte{head}, uint64(c.hold.n+c.hold.again))
	_ = c.c.SetSession(append(s, c.session...)) // never too large
	c.dirty = false
}

// recall is the other end of keep.
func (c *Conn) recall(s []byte) {
	c.proto = 2
	if len(s) == 0 {
		return
	}
	c.proto, c.push.on = int(s[0]&^pushBit), s[0]&pushBit != 0
	n, size := binary.Uvarint(s[1:])
	c.hold.again, c.session = int(n), s[1+max(size, 0):]
	c.push.used, c.push.proto = c.push.on, c.proto
}
