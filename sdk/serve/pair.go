package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// maxQueue bounds what a silent peer may keep waiting; beyond it the peer counts as gone.
const maxQueue = 1 << 19

// An op is something to tell the peer.
type op struct {
	kind    kind
	id      uint64
	data    []byte
	link    *link      // of kindAhead and kindSession
	written chan error // of kindEnd
}

// A pair is this process's end of the bond between two versions.
type pair struct {
	g    *Group
	conn *net.UnixConn
	word *word
	side uint64           // 0 for the one that listened, else 1
	byID map[uint64]*link // guarded by the group's lock
	last uint64           // id given here; also guarded by it

	mu    sync.Mutex
	queue []op
	more  chan struct{} // there is something in the queue

	ended  atomic.Pointer[chan struct{}] // closed: the peer gave all connections away
	synced chan struct{}                 // closed: the peer has read what was said up to sync
	theirs chan struct{}                 // closed: so has this process
	dead   chan struct{}
	once   sync.Once
	bye    atomic.Bool
	silent chan struct{} // closed when nothing more will be heard
	in     reader
}

// Pair joins this process with the one that does the same with the other value of listen, by a unix socket at path.
// One of the two may serve. From then on its connections' descriptors travel ahead, and it tells their ends.
//
// The listening side returns as soon as the socket is there, and joins when the other one comes; the other side
// returns when the descriptors of all connections have travelled. An earlier pair is left.
func (g *Group) Pair(ctx context.Context, path string, listen bool) error {
	g.turn.Lock()
	defer g.turn.Unlock()
	g.waitLeaving()
	g.mu.Lock()
	g.unpairLocked()
	g.wanted++
	wanted := g.wanted
	g.mu.Unlock()
	if listen {
		return g.listenPair(path, wanted)
	}
	return g.dialPair(ctx, path)
}

// joinLimit is how long one side waits for the other one, and for its greeting. Nobody's requests wait meanwhile.
const joinLimit = 10 * time.Second

func (g *Group) listenPair(path string, wanted uint64) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("serve: pair: %w", err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("serve: pair: %w", err)
	}
	_ = ln.SetDeadline(time.Now().Add(joinLimit))
	go g.acceptPair(ln, wanted)
	return nil
}

func (g *Group) acceptPair(ln *net.UnixListener, wanted uint64) {
	defer ln.Close()
	conn, err := ln.AcceptUnix()
	if err == nil {
		err = g.greetFirst(conn, wanted)
	}
	if err != nil {
		g.log.Warn("no pair", "error", err)
	}
}

// greetFirst is the listening side's greeting: it hears who serves, and says whose the connections are. While it listens
// the group is free for anything else.
func (g *Group) greetFirst(conn *net.UnixConn, wanted uint64) error {
	p := newPair(g, conn, 0)
	theirs, _, err := p.hear(context.Background())
	if err == nil {
		err = g.greetBack(p, theirs, wanted)
	}
	if err != nil {
		conn.Close()
	}
	return err
}

// greetBack answers, and joins.
func (g *Group) greetBack(p *pair, theirs greeting, wanted uint64) error {
	g.turn.Lock()
	defer g.turn.Unlock()
	if err := g.answer(p, theirs, wanted); err != nil {
		return err
	}
	g.joinPair(p)
	return nil
}

func (g *Group) answer(p *pair, theirs greeting, wanted uint64) error {
	g.mu.Lock()
	mine, late := g.phase != standby, g.wanted != wanted
	g.mu.Unlock()
	switch {
	case late:
		return fmt.Errorf("%w: too late", ErrProtocol)
	case mine && theirs.serving:
		return fmt.Errorf("%w: both processes serve", ErrProtocol)
	}
	w, f, err := newWord()
	if err != nil {
		return err
	}
	defer f.Close()
	p.word = w
	if mine {
		w.v.Store(holds)
	} else if theirs.serving {
		w.v.Store(holds + 1)
	}
	return p.send(appendHello(nil, greeting{protocol, mine}), []int{int(f.Fd())})
}

func (g *Group) dialPair(ctx context.Context, path string) error {
	var dialer net.Dialer
	nc, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("serve: pair: %w", err)
	}
	p := newPair(g, nc.(*net.UnixConn), 1)
	if err := p.greetSecond(ctx, g.is() != standby); err != nil {
		nc.Close()
		return fmt.Errorf("serve: pair: %w", err)
	}
	g.joinPair(p)
	return p.caughtUp(ctx)
}

func (p *pair) greetSecond(ctx context.Context, serving bool) error {
	if err := p.send(appendHello(nil, greeting{protocol, serving}), nil); err != nil {
		return err
	}
	_, fds, err := p.hear(ctx)
	if err != nil {
		return err
	}
	defer closeAll(fds)
	if len(fds) != 1 {
		return fmt.Errorf("%w: %d descriptors with a greeting", ErrProtocol, len(fds))
	}
	p.word, err = mapWord(fds[0])
	return err
}

// caughtUp waits until both processes know of all connections.
func (p *pair) caughtUp(ctx context.Context) error {
	for _, c := range []chan struct{}{p.synced, p.theirs} {
		select {
		case <-c:
		case <-p.dead:
			return ErrPeerGone
		case <-ctx.Done():
			p.fail(ctx.Err())
			return context.Cause(ctx)
		}
	}
	return nil
}

func newPair(g *Group, conn *net.UnixConn, side uint64) *pair {
	p := &pair{
		g: g, conn: conn, side: side, byID: map[uint64]*link{}, last: side, in: reader{conn: conn}, more: make(chan struct{}, 1),
		synced: make(chan struct{}), theirs: make(chan struct{}), dead: make(chan struct{}),
		silent: make(chan struct{}),
	}
	p.rearm()
	return p
}

// rearm makes Await wait for a next end marker.
func (p *pair) rearm() {
	c := make(chan struct{})
	p.ended.Store(&c)
}

// joinPair makes p the group's pair and tells it all connections.
func (g *Group) joinPair(p *pair) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pair = p
	for l := range g.links {
		p.sayAhead(l)
	}
	p.say(op{kind: kindSync})
	go p.write()
	go p.read()
}

// say queues an op; it never blocks.
func (p *pair) say(o op) {
	p.mu.Lock()
	p.queue = append(p.queue, o)
	full := len(p.queue) > maxQueue
	p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
	if full {
		go p.fail(ErrPeerGone)
	}
}

// sayAhead tells the peer of a connection. The group's lock is held.
func (p *pair) sayAhead(l *link) {
	p.last += 2
	l.id = p.last
	p.byID[l.id] = l
	p.say(op{kind: kindAhead, id: l.id, link: l})
	if l.telling = false; len(l.session) > 0 {
		p.saySession(l)
	}
}

// saySession tells the peer a session, as it is when it is told: those before it cost nothing, however long a silent peer keeps
// them waiting. The group's lock is held.
func (p *pair) saySession(l *link) {
	if l.telling {
		return
	}
	l.telling = true
	p.say(op{kind: kindSession, id: l.id, link: l})
}

// session is what the peer is told now.
func (p *pair) session(l *link) []byte {
	p.g.mu.Lock()
	defer p.g.mu.Unlock()
	l.telling = false
	return l.session
}

func (p *pair) sayWords(id uint64, unread, unsent []byte) {
	if len(unread) > 0 {
		p.say(op{kind: kindUnread, id: id, data: unread})
	}
	if len(unsent) > 0 {
		p.say(op{kind: kindUnsent, id: id, data: unsent})
	}
}

func (p *pair) isDead() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

// fail ends the pair's conversation.
func (p *pair) fail(err error) {
	p.once.Do(func() {
		if err != nil && !p.bye.Load() {
			p.g.log.Warn("the pair with the other version has ended", "error", err)
		}
		close(p.dead)
		_ = p.conn.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, o := range p.queue {
			if o.written != nil {
				o.written <- ErrPeerGone
			}
		}
		p.queue = nil
	})
}

// claim takes the ownership, waiting for the peer to give it away or to die, until late is closed.
func (p *pair) claim(late <-chan struct{}) bool {
	if p.word.heldBy(1 - p.side) {
		p.waitEnd(late)
	}
	if p.isSilent() && p.word.heldBy(1-p.side) {
		p.word.inherit(p.side)
	}
	theirs := p.word.givenBy(1 - p.side)
	if !p.word.take(p.side) {
		return false
	}
	if theirs {
		p.waitEnd(late)
	}
	p.rearm()
	if !theirs {
		p.say(op{kind: kindBegin}) // a marker that this process may have sent is void
	}
	return true
}

// waitEnd waits for the peer's end marker or its death, until late.
func (p *pair) waitEnd(late <-chan struct{}) {
	select {
	case <-*p.ended.Load():
	case <-p.silent:
	case <-late:
	}
}

func (p *pair) isSilent() bool {
	select {
	case <-p.silent:
		return true
	default:
		return false
	}
}

// Await returns when the peer's end marker has come: all connections are known here with their last words, and wait
// for Arm. It fails with ErrPeerGone if the peer dies before, and with ErrNoPair if there is none.
func (g *Group) Await(ctx context.Context) error {
	g.mu.Lock()
	p := g.pair
	g.mu.Unlock()
	if p == nil {
		return ErrNoPair
	}
	select {
	case <-*p.ended.Load():
	case <-p.silent:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if p.word.heldBy(1 - p.side) {
		return ErrPeerGone
	}
	return nil
}

// Unpair leaves the pair in order. The connections that the peer serves are its own from then on: their duplicates
// are closed here without a word to the clients. Without a pair it does nothing.
func (g *Group) Unpair() {
	g.turn.Lock()
	defer g.turn.Unlock()
	g.waitLeaving()
	g.mu.Lock()
	p := g.pair
	g.wanted++
	g.mu.Unlock()
	if p != nil {
		p.sayBye()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unpairLocked()
}

// sayBye lets the queue run dry first.
func (p *pair) sayBye() {
	p.bye.Store(true)
	written := make(chan error, 1)
	p.say(op{kind: kindBye, written: written})
	timer := time.NewTimer(p.g.limit)
	defer timer.Stop()
	select {
	case <-written:
	case <-p.dead:
	case <-timer.C:
	}
}

// unpairLocked forgets the pair, and what it brought unless it is served here. The group's lock is held.
func (g *Group) unpairLocked() {
	p := g.pair
	if p == nil {
		return
	}
	g.pair = nil
	p.word.leave(p.side)
	p.bye.Store(true)
	go p.fail(nil)
	for l := range g.links {
		l.id = 0
		if g.phase == standby {
			g.drop(l, closeQuietly)
		}
	}
}
