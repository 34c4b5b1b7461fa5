package serve

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Arm accepts and serves: new connections, those that came ahead once the paired process has finished, and, after
// Park or a Finish that the peer made nothing of, this process's own. It takes the same short time for any number of
// idle connections. Arming a group that serves does nothing.
//
// If the paired process serves the connections and is alive, Arm waits a limited time for its end and then fails with
// ErrServedElsewhere. If it died while it served them, they ended with it, because a request may have been half read,
// and Arm serves new connections.
func (g *Group) Arm() error {
	g.turn.Lock()
	defer g.turn.Unlock()
	switch g.is() {
	case serving:
		return nil
	case parked:
		g.unpark()
		return nil
	}
	g.waitLeaving()
	if err := g.claim(); err != nil {
		return err
	}
	early := g.resumeEarly()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropStrangers()
	g.serve(early)
	if g.pair != nil && g.pair.isDead() {
		g.unpairLocked()
	}
	return nil
}

// claim makes this process the owner of the connections.
func (g *Group) claim() error {
	g.mu.Lock()
	p := g.pair
	g.mu.Unlock()
	if p == nil {
		return nil
	}
	limited, cancel := context.WithTimeout(context.Background(), g.limit)
	defer cancel()
	if !p.claim(limited.Done()) {
		return ErrServedElsewhere
	}
	return nil
}

// dropStrangers hangs up connections of listeners that this version does not have. The group's lock is held.
func (g *Group) dropStrangers() {
	for l := range g.strangers {
		g.log.Warn("a connection of an unknown listener is closed")
		g.drop(l, hangup)
	}
}

// Finish is the last word of a parked group: it tells the peer the unread and unsent bytes of each connection, then
// that all of them are the peer's. n is how many. The connections stay here too, disarmed, so that the peer can give
// them back. Connections that cannot travel (TLS, HTTP/2, hijacked) are hung up.
//
// On failure the group is still parked, and Arm takes everything back. If Arm does not come within twice the time
// limit the connections are hung up, so that their clients turn to whoever serves.
func (g *Group) Finish() (n int, err error) {
	g.turn.Lock()
	defer g.turn.Unlock()
	if g.is() != parked {
		return 0, ErrNotServing
	}
	said, err := g.sayWords()
	if err == nil {
		err = g.sayEnd()
	}
	if err != nil {
		g.hangupLater()
		return 0, fmt.Errorf("connections cannot be handed over: %w", err)
	}
	return g.letGo(said), nil
}

// spoken is a live connection with its last words.
type spoken struct {
	c              liveConn
	unread, unsent []byte
	portable       bool
}

// sayWords tells the peer what it cannot know of each connection.
func (g *Group) sayWords() ([]spoken, error) {
	p, err := g.joined()
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	p.say(op{kind: kindBegin})
	said := make([]spoken, 0, len(g.live))
	for c := range g.live {
		s, id := c.say(), c.link().id
		said = append(said, s)
		if s.portable {
			p.sayWords(id, s.unread, s.unsent)
		} else if id != 0 {
			p.say(op{kind: kindGone, id: id})
		}
	}
	for l := range g.worded {
		p.sayWords(l.id, l.unread, l.unsent)
	}
	return said, nil
}

// sayEnd gives the ownership away; then nothing of it can be taken back but by claim.
func (g *Group) sayEnd() error {
	p, err := g.joined()
	if err != nil {
		return err
	}
	written := make(chan error, 1)
	p.say(op{kind: kindEnd, written: written})
	timer := time.NewTimer(g.limit)
	defer timer.Stop()
	select {
	case err = <-written:
	case <-p.dead:
		err = ErrPeerGone
	case <-timer.C:
		err = ErrPeerGone
		p.fail(err)
	}
	if err != nil && p.word.take(p.side) {
		return err
	}
	return nil // the peer may even have armed before its marker was seen to be written
}

// joined is the pair, once both processes are in it.
func (g *Group) joined() (*pair, error) {
	g.mu.Lock()
	p := g.pair
	g.mu.Unlock()
	if p == nil {
		return nil, ErrNoPair
	}
	if p.isDead() {
		return nil, ErrPeerGone
	}
	return p, nil
}

// letGo makes a standby of the group, after the peer has got everything.
func (g *Group) letGo(said []spoken) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.park
	g.standBy()
	for _, s := range said {
		s.c.letGo(s.portable)
	}
	p.handed = true
	close(p.done)
	g.leaving = &leaving{hurry: make(chan struct{}, 1), done: make(chan struct{})}
	go g.withdraw(said, g.leaving)
	return len(g.links) - bound(said)
}

func bound(said []spoken) (n int) {
	for _, s := range said {
		if !s.portable {
			n++
		}
	}
	return n
}

// leaving is the time in which goroutines still have sockets that were handed over. They cannot use them any more, so
// there is no hurry, and the processor belongs to the process that serves now.
type leaving struct {
	hurry chan struct{} // somebody waits
	done  chan struct{}
}

// ease is how long sockets may stay with goroutines that cannot use them.
const ease = 50 * time.Millisecond

// withdraw takes the sockets from the goroutines that served them.
func (g *Group) withdraw(said []spoken, l *leaving) {
	defer close(l.done)
	timer := time.NewTimer(ease)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.hurry:
	}
	for _, s := range said {
		s.c.withdraw(s)
	}
}

// waitLeaving returns when no goroutine has a socket that was handed over.
func (g *Group) waitLeaving() {
	g.mu.Lock()
	l := g.leaving
	g.mu.Unlock()
	if l == nil {
		return
	}
	select {
	case l.hurry <- struct{}{}:
	default:
	}
	<-l.done
}

// hangupLater hangs up a group that stays parked after a failed Finish.
func (g *Group) hangupLater() {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.park
	g.grace = time.AfterFunc(2*g.limit, func() { g.hangupParked(p) })
}

func (g *Group) hangupParked(p *park) {
	g.turn.Lock()
	defer g.turn.Unlock()
	g.mu.Lock()
	still := g.park == p
	g.mu.Unlock()
	if still {
		g.hangup()
	}
}

// Hangup ends every connection that is served here and makes the group a standby. It is for a process that ends
// without a successor; Park before it lets requests in hand finish. Streams without work in hand are sent what is left to send
// and their Farewell, and are given the time limit to take it; all others are cut.
func (g *Group) Hangup() {
	g.turn.Lock()
	defer g.turn.Unlock()
	switch g.is() {
	case standby:
		return
	case serving:
		g.drain(context.Background(), g.stopAll(g.limit), g.limit/10) // what is being written
	}
	g.hangup()
}

// hangup ends the connections of a parked group.
func (g *Group) hangup() {
	g.mu.Lock()
	for _, l := range g.idle.links {
		g.drop(l, hangup)
	}
	for l := range g.early {
		g.drop(l, hangup)
	}
	p := g.park
	g.mu.Unlock()
	g.farewell(g.liveConns())
	for range 2 { // one may have become another kind meanwhile
		for _, c := range g.liveConns() {
			_ = c.close()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.standBy()
	close(p.done)
}

func (g *Group) liveConns() []liveConn {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.live))
}
