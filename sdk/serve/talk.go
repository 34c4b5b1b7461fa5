package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// write tells the peer what is queued, in order.
func (p *pair) write() {
	for {
		select {
		case <-p.more:
		case <-p.dead:
			return
		}
		p.mu.Lock()
		ops := p.queue
		p.queue = nil
		p.mu.Unlock()
		if err := p.tell(ops); err != nil {
			answer(ops, err)
			p.readOut()
			p.fail(err)
			return
		}
	}
}

// readOut lets the reader hear what a peer that takes nothing more said before.
func (p *pair) readOut() {
	timer := time.NewTimer(p.g.limit)
	defer timer.Stop()
	select {
	case <-p.dead:
	case <-timer.C:
	}
}

// answer tells those who wait for an op that it failed.
func answer(ops []op, err error) {
	for _, o := range ops {
		if o.written != nil {
			select {
			case o.written <- err:
			default:
			}
		}
	}
}

func (p *pair) tell(ops []op) error {
	var buf []byte
	for len(ops) > 0 {
		n := aheads(ops)
		if n > 0 {
			if err := p.flush(&buf); err != nil {
				return err
			}
			if err := p.tellAhead(ops[:n]); err != nil {
				return err
			}
			ops = ops[n:]
			continue
		}
		if err := p.tellOne(ops[0], &buf); err != nil {
			return err
		}
		ops = ops[1:]
	}
	return p.flush(&buf)
}

// aheads counts the connections at the beginning of ops, up to a batch.
func aheads(ops []op) int {
	n := 0
	for n < len(ops) && n < maxBatch && ops[n].kind == kindAhead {
		n++
	}
	return n
}

// flushSize is when collected frames are written.
const flushSize = 256 << 10

func (p *pair) tellOne(o op, buf *[]byte) error {
	switch o.kind {
	case kindUnread, kindUnsent:
		*buf = appendChunks(*buf, o.kind, o.id, o.data)
	case kindGone:
		*buf = appendFrame(*buf, o.kind, idBytes(o.id))
	case kindSession:
		*buf = appendFrame(*buf, o.kind, idBytes(o.id), p.session(o.link))
	case kindEnd:
		return p.tellEnd(o, buf)
	default:
		*buf = appendFrame(*buf, o.kind)
	}
	if len(*buf) > flushSize || o.written != nil {
		if err := p.flush(buf); err != nil {
			return err
		}
	}
	if o.written != nil {
		o.written <- nil
	}
	return nil
}

// tellEnd gives the connections away: all words are out before, and the marker only wakes the peer.
func (p *pair) tellEnd(o op, buf *[]byte) error {
	if err := p.flush(buf); err != nil {
		return err
	}
	if !p.word.give(p.side) {
		if p.word.heldBy(p.side) {
			return ErrPeerGone
		}
		return ErrServedElsewhere
	}
	*buf = appendFrame(*buf, kindEnd)
	if err := p.flush(buf); err != nil {
		return err
	}
	o.written <- nil
	return nil
}

func (p *pair) flush(buf *[]byte) error {
	if len(*buf) == 0 {
		return nil
	}
	_, err := p.conn.Write(*buf)
	*buf = (*buf)[:0]
	return err
}

// tellAhead sends duplicates of descriptors; a connection that has ended meanwhile is left out.
func (p *pair) tellAhead(ops []op) error {
	var as []arrival
	var fds []int
	defer func() { closeAll(fds) }()
	for _, o := range ops {
		fd, err := p.dup(o.link)
		if errors.Is(err, net.ErrClosed) {
			continue
		}
		if err != nil {
			return err
		}
		as, fds = append(as, arrival{o.id, o.link.door.name}), append(fds, fd)
	}
	if len(fds) == 0 {
		return nil
	}
	return p.send(appendArrivals(nil, as), fds)
}

// dup is a duplicate of a connection's descriptor; net.ErrClosed if the connection has ended.
func (p *pair) dup(l *link) (int, error) {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	return l.dup()
}

// flight is how long to wait when too many descriptors are under way.
const flight = time.Millisecond

// send writes b, with descriptors on its first byte.
func (p *pair) send(b []byte, fds []int) error {
	oob := []byte(nil)
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for {
		n, _, err := p.conn.WriteMsgUnix(b, oob, nil)
		if errors.Is(err, unix.ETOOMANYREFS) && p.waitFlight() {
			continue
		}
		if err == nil && n < len(b) {
			_, err = p.conn.Write(b[n:])
		}
		return err
	}
}

// waitFlight gives the peer time to take descriptors; false if it is dead.
func (p *pair) waitFlight() bool {
	timer := time.NewTimer(flight)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.dead:
		return false
	}
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// A reader hears frames and the descriptors that come with them.
type reader struct {
	conn *net.UnixConn
	dec  decoder
	fds  []int // came, not named yet
	buf  [maxFrame]byte
	oob  []byte
}

func (r *reader) frame() (frame, error) {
	for {
		f, ok, err := r.dec.next()
		if ok || err != nil {
			return f, err
		}
		if err := r.more(); err != nil {
			return frame{}, err
		}
	}
}

func (r *reader) more() error {
	if r.oob == nil {
		r.oob = make([]byte, unix.CmsgSpace(4*253))
	}
	n, oobn, flags, _, err := r.conn.ReadMsgUnix(r.buf[:], r.oob)
	if oobn > 0 {
		if err := r.takeFDs(r.oob[:oobn]); err != nil {
			return err
		}
	}
	if flags&unix.MSG_CTRUNC != 0 {
		return fmt.Errorf("%w: descriptors were lost; is the limit of open files too low?", ErrProtocol)
	}
	if err != nil {
		return err
	}
	if n == 0 {
		return os.ErrClosed
	}
	r.dec.feed(r.buf[:n])
	return nil
}

func (r *reader) takeFDs(oob []byte) error {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	for _, m := range msgs {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		r.fds = append(r.fds, fds...)
	}
	return nil
}

// hear reads a greeting, in limited time.
func (p *pair) hear(ctx context.Context) (greeting, []int, error) {
	_ = p.conn.SetReadDeadline(time.Now().Add(joinLimit))
	stop := context.AfterFunc(ctx, func() { _ = p.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer func() {
		if stop() {
			_ = p.conn.SetReadDeadline(time.Time{})
		}
	}()
	f, err := p.in.frame()
	if err != nil {
		closeAll(p.in.fds)
		return greeting{}, nil, err
	}
	fds := p.in.fds
	p.in.fds = nil
	h, err := f.hello()
	if err != nil {
		closeAll(fds)
		return h, nil, err
	}
	return h, fds, nil
}

// read hears the peer until its end.
func (p *pair) read() {
	err := error(nil)
	for err == nil {
		var f frame
		if f, err = p.in.frame(); err == nil {
			err = p.obey(f)
		}
	}
	closeAll(p.in.fds)
	p.fail(err)
	p.g.bereft(p)
	close(p.silent)
}

func (p *pair) obey(f frame) error {
	switch f.kind {
	case kindAhead:
		return p.arrive(f)
	case kindGone, kindSession, kindUnread, kindUnsent:
		return p.about(f)
	case kindBegin:
		p.g.voidWords()
		p.rearmEnded()
	case kindEnd:
		p.end()
	case kindSync:
		closeOnce(p.theirs)
		p.say(op{kind: kindSynced})
	case kindSynced:
		closeOnce(p.synced)
	case kindBye:
		p.bye.Store(true)
	default:
		return f.bad()
	}
	return nil
}

// closeOnce closes a channel that only the caller's goroutine closes.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// rearmEnded forgets an end marker that came.
func (p *pair) rearmEnded() {
	select {
	case <-*p.ended.Load():
		p.rearm()
	default:
	}
}

// end takes note of the end marker, once.
func (p *pair) end() { closeOnce(*p.ended.Load()) }

// arrive registers connections, disarmed.
func (p *pair) arrive(f frame) error {
	as, err := f.arrivals()
	if err != nil {
		return err
	}
	if len(as) > len(p.in.fds) {
		return fmt.Errorf("%w: %d connections with %d descriptors", ErrProtocol, len(as), len(p.in.fds))
	}
	fds := p.in.fds[:len(as)]
	p.in.fds = p.in.fds[len(as):]
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	for i, a := range as {
		p.register(a, fds[i])
	}
	return nil
}

// register adds a connection of the peer's. The group's lock is held.
func (p *pair) register(a arrival, fd int) {
	if p.g.pair != p || p.byID[a.id] != nil {
		_ = unix.Close(fd)
		return
	}
	l := &link{door: p.g.doors[a.name], id: a.id, fd: fd}
	p.byID[a.id], p.g.links[l] = l, struct{}{}
	if l.door == nil {
		p.g.strangers[l] = struct{}{}
	}
	p.g.rest(l)
}

// about obeys a frame about one connection. One that is not known has ended meanwhile.
func (p *pair) about(f frame) error {
	id, data, err := f.withID()
	if err != nil {
		return err
	}
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	l := p.byID[id]
	if l == nil || p.g.phase != standby && p.word.heldBy(p.side) { // the peer may serve before letGo has run here
		return nil
	}
	switch f.kind {
	case kindGone:
		p.g.drop(l, closeQuietly)
	case kindSession:
		l.session = append([]byte(nil), data...)
		if l.fd >= 0 { // else when whoever has it has let go
			p.g.place(l)
		}
	case kindUnread:
		l.unread = append(l.unread, data...)
		p.g.worded[l] = struct{}{}
	case kindUnsent:
		l.unsent = append(l.unsent, data...)
		p.g.worded[l] = struct{}{}
	}
	return nil
}

// voidWords forgets last words of an earlier time, once nobody here can still add to them.
func (g *Group) voidWords() {
	g.waitLeaving()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.phase != standby {
		return
	}
	for l := range g.worded {
		l.unread, l.unsent = nil, nil
	}
	clear(g.worded)
}

// bereft settles what the peer leaves behind. What it served is closed here without a word: if the peer is dead these
// were the last descriptors, and the clients see the end; if only the conversation has failed, it serves on. What it
// gave away stays, for Arm.
func (g *Group) bereft(p *pair) {
	g.waitLeaving()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pair != p {
		return
	}
	switch {
	case g.phase != standby || p.bye.Load() && p.word.heldBy(1-p.side):
		g.unpairLocked()
	case p.word.heldBy(1 - p.side):
		for l := range g.links {
			g.drop(l, closeQuietly)
		}
	}
}
