package serve

// Early is for a handler that has something to say to clients that do not speak, such as subscribers. A connection that
// came from another process waits without a goroutine until its client speaks; one that is Wanted does not.
//
// At Arm, Resume is called for each of them before anything is served, so that the handler knows them when the first
// request of all comes; Push may be used from then on. The handler itself follows, in a goroutine of its own; if it cannot,
// because the client has been hung up meanwhile or there are no descriptors left, Lost is called instead. Lost may be nil.
//
// Resume must be quick, since the clients wait. It is called without any lock of this package, and may use Push, Before,
// Farewell, Session, SetSession, Close and Value of this connection and all others; this one has no socket yet. Wanted is
// called with the group locked and must look at the session alone.
type Early struct {
	Wanted func(session []byte) bool
	Resume func(c *Conn, session []byte)
	Lost   func(c *Conn)
}

// place puts a link with a descriptor among those that its handler wants, or among the idle ones, which are woken when their
// clients speak. The group's lock is held.
func (g *Group) place(l *link) (wanted bool) {
	wanted = l.door != nil && l.door.wanted != nil && l.door.wanted(l.session)
	if err := g.placeAs(l, wanted); err != nil {
		g.log.Error("a connection could not be kept", "error", err)
		g.drop(l, closeQuietly)
	}
	return wanted
}

func (g *Group) placeAs(l *link, wanted bool) error {
	if !wanted {
		delete(g.early, l)
		g.events.unwatch(l)
		return g.idle.add(l)
	}
	g.idle.remove(l)
	g.early[l] = struct{}{}
	if l.door.events.Ready == nil {
		return nil
	}
	return g.events.watch(l)
}

// woken is links that were made live early.
type woken struct {
	waking  []*waking
	adopted []adopted
}

// wakeEarly makes the links live that their handlers want. The group's lock is held; resume must follow, without it, and
// then begin.
func (g *Group) wakeEarly() (w woken) {
	for l := range g.early {
		if l.door.events.Ready != nil {
			w.adopted = append(w.adopted, g.adopt(l))
			continue
		}
		one := g.wake(l)
		one.quiet, one.early, one.session = false, &l.door.early, l.session
		w.waking = append(w.waking, one)
	}
	clear(g.early)
	return w
}

// resume tells the handlers.
func (w woken) resume() {
	resumeAll(w.adopted)
	for _, one := range w.waking {
		one.resume()
	}
}

// begin has them served.
func (w woken) begin() {
	for _, a := range w.adopted {
		a.begin()
	}
	for _, one := range w.waking {
		go one.run()
	}
}

// resumeEarly tells the handlers of the links that they want, while nothing is served: neither here any more, nor by the
// peer. serve must follow.
func (g *Group) resumeEarly() woken {
	g.mu.Lock()
	g.phase = parked
	early := g.wakeEarly()
	g.mu.Unlock()
	early.resume()
	return early
}

// resume tells the handler of a link that it wants.
func (w *waking) resume() { w.early.Resume(w.c.(*Conn), w.session) }

// lost tells the handler that a link that it may know will not be served.
func (w *waking) lost() {
	if w.early != nil && w.early.Lost != nil {
		w.early.Lost(w.c.(*Conn))
	}
}
