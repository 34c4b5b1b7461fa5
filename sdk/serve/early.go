package serve

// Early is for a handler that has something to say to clients that do not speak, such as subscribers. A connection that
// came from another process waits without a goroutine until its client speaks; one that is Wanted does not.
//
// At Arm, Resume is called for each of them before anything is served, so that the handler knows them when the first
// request of all comes; Push may be used from then on. The handler itself follows, in a goroutine of its own. Resume must
// be quick, since the clients wait, and must use nothing of the connection but Push, Before, Farewell and Value.
type Early struct {
	Wanted func(session []byte) bool
	Resume func(c *Conn, session []byte)
}

// sift tells whether an idle link is one that the handler wants. The group's lock is held.
func (g *Group) sift(l *link) bool {
	delete(g.early, l)
	if l.door == nil || l.door.early.Wanted == nil || l.fd < 0 || !l.door.early.Wanted(l.session) {
		return false
	}
	g.early[l] = struct{}{}
	return true
}

// resumeEarly serves the links that their handlers want. The group's lock is held.
func (g *Group) resumeEarly() {
	if g.phase != serving {
		return
	}
	for l := range g.early {
		g.idle.remove(l)
		w := g.wake(l)
		w.quiet = false
		l.door.early.Resume(w.c.(*Conn), l.session)
		go w.run()
	}
}
