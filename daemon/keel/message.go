package keel

import (
	"encoding/json"
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Each message is one packet of JSON. A request with an ID is answered; a beat is not.
type request struct {
	ID     uint64    `json:"id,omitempty"`
	Op     string    `json:"op"`
	Listen *Address  `json:"listen,omitempty"`
	Owner  string    `json:"owner,omitempty"`
	Retain []Address `json:"retain,omitempty"`
	By     *Program  `json:"by,omitempty"`   // what is to replace the sender
	From   *Program  `json:"from,omitempty"` // what the sender is
	Error  string    `json:"error,omitempty"`
}

type reply struct {
	ID      uint64   `json:"id"`
	Error   string   `json:"error,omitempty"`
	Real    string   `json:"real,omitempty"`  // of a listener, whose descriptor comes along
	First   bool     `json:"first,omitempty"` // no daemon was ready before
	Daemons *Daemons `json:"daemons,omitempty"`
}

const (
	opBeat     = "beat"
	opReady    = "ready"
	opListen   = "listen"
	opRetain   = "retain"
	opReplace  = "replace"
	opPrepared = "prepared"
	opRefused  = "refused"
	opDaemons  = "daemons"

	maxMessage   = 64 << 10
	writeTimeout = time.Second // to a peer that does not read
)

// message is a request and the daemon that sent it.
type message struct {
	from *child
	req  request
}

// receive passes a daemon's requests to the loop until its end of the socketpair is closed.
func (k *keel) receive(c *child) {
	buf := make([]byte, maxMessage)
	for {
		n, _, _, _, err := c.conn.ReadMsgUnix(buf, nil)
		if err != nil {
			return
		}
		var req request
		if json.Unmarshal(buf[:n], &req) != nil {
			continue
		}
		select {
		case k.inbox <- message{c, req}:
		case <-k.ended:
			return
		}
	}
}

// answer acts on a request. One from a daemon that is dead by now is dropped.
func (k *keel) answer(m message) {
	if k.replacing != nil && m.from == k.replacing.child {
		k.answerNew(m)
		return
	}
	if m.from != k.child {
		return
	}
	switch k.child.silent = 0; m.req.Op {
	case opBeat:
		k.systemd.watchdog()
	case opReady:
		k.reply(m, reply{First: !k.ready}, -1)
		k.becomeReady()
	case opRetain:
		k.held.retain(m.req.Owner, m.req.Retain)
		k.reply(m, reply{}, -1)
	case opListen:
		k.open(m)
	case opReplace:
		k.replace(m)
	case opDaemons:
		k.reply(m, reply{Daemons: k.daemons()}, -1)
	default:
		k.reply(m, reply{Error: "the keel does not know " + m.req.Op}, -1)
	}
}

func (k *keel) open(m message) {
	if m.req.Listen == nil {
		k.reply(m, reply{Error: "listen where?"}, -1)
		return
	}
	h, err := k.held.open(*m.req.Listen)
	if err != nil {
		k.reply(m, reply{Error: err.Error()}, -1)
		return
	}
	k.log.Debug("listener", "for", m.req.Listen, "at", h.real)
	k.reply(m, reply{Real: h.real}, h.fd)
}

func (k *keel) becomeReady() {
	if !k.ready {
		k.systemd.ready()
	}
	k.ready, k.failures = true, 0
	k.replaced()
}

func (k *keel) reply(m message, r reply, fd int) {
	r.ID = m.req.ID
	if err := send(m.from.conn, r, fd); err != nil {
		k.log.Warn("the daemon does not take an answer", "op", m.req.Op, "error", err)
	}
}

var errTooLong = errors.New("message too long")

// send writes one packet, with a descriptor if fd is not negative.
func send(conn *net.UnixConn, v any, fd int) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(text) > maxMessage {
		return errTooLong
	}
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, _, err = conn.WriteMsgUnix(text, rights, nil)
	return err
}
