package upgrades

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/journal"
	"github.com/theseusd/theseus/upgrades/release"
	"github.com/theseusd/theseus/upgrades/trust"
)

// world is what outlives a daemon: processes, their rows and connections, the journal's file, the store. It watches
// that never two versions serve at once and that every version finds every row in a shape it can read.
type world struct {
	t testing.TB

	mu      sync.Mutex
	procs   []*proc
	grounds map[string]*ground
	store   map[string]release.Package
	sick    map[string]bool            // versions that call themselves unhealthy
	broken  map[string]bool            // versions that do not start
	badRow  map[string]*RowError       // what a rehearsal finds, by the way: "rehearse" or "rehearse down"
	traffic map[string]control.Traffic // of the last minute, by version
	doubted map[string]bool            // versions that nobody vouches for
	records []journal.Record
	synced  int
	memory  uint64 // that is free; 0 if nobody can tell
	unready string // what standbys say that could not write for long
	wrong   []string
	calls   []string
	script  script

	operator operator
	ports    map[string]bool // that somebody else has

	tree   release.Supervision // as the host was told last
	starts []string            // in which order, likewise
	told   func()              // what happens right before the host is told
}

// operator is theseus.toml.
type operator struct {
	now, start map[string]release.Settings
	tree       release.Tree
	err        error
	warnings   []string
}

func (o *operator) Read(map[string][]string, release.Requires) (Decided, error) {
	return Decided{Settings: o.now, Tree: o.tree, Warnings: o.warnings}, o.err
}

func (o *operator) AtStart(service string) release.Settings {
	if s := o.start[service]; s != "" {
		return s
	}
	return release.NoSettings
}

// script says what goes wrong at the n-th call.
type script func(n int, call string) act

type act int

const (
	well act = iota
	fail
	failAfter
	busy
	die
	dieAfter
	hang
	freeze
	crash
	crashAfter
)

var actNames = [...]string{
	"well", "fail", "failAfter", "busy", "die", "dieAfter", "hang", "freeze", "crash", "crashAfter",
}

func (a act) String() string { return actNames[a] }

// ground is a service, whatever runs of it.
type ground struct {
	taken  bool
	given  *release.Package // what the host keeps alive
	shapes []shape
	conns  *proc           // who holds the connections
	lost   int             // times that they were cut
	open   map[string]bool // listeners
}

// shape is how some of the rows are written.
type shape struct {
	version int
	also    map[int]bool
}

type proc struct {
	id     string
	pkg    release.Package
	role   Role
	done   chan struct{}
	frozen bool
	peer   *proc
	marker bool // the peer gave its last word
	lag    uint64

	refused *RowError // a write that the version before cannot hold
}

var errScripted = errors.New("scripted failure")

func newWorld(t testing.TB) *world {
	return &world{
		t: t, grounds: map[string]*ground{}, store: map[string]release.Package{},
		sick: map[string]bool{}, broken: map[string]bool{}, badRow: map[string]*RowError{}, traffic: map[string]control.Traffic{},
	}
}

// pack puts a version of a service into the store. Its table has the schema version that its major version names.
func (w *world) pack(name, version, manifest string) release.Package {
	m, err := appup.Parse("appup.toml", []byte(fmt.Sprintf("name = %q\nversion = %q\n%s", name, version, manifest)))
	if err != nil {
		w.t.Fatal(err)
	}
	schema := int(version[0] - '0')
	d := describe.Service{Name: name, Version: version, Tables: []describe.Table{{
		Name: "rows", Schema: "row", Version: schema, Shape: fmt.Sprintf("{v%d:string}", schema),
	}}}
	for from := 1; from < schema; from++ {
		d.Tables[0].Steps = append(d.Tables[0].Steps, describe.Step{From: from, Shape: fmt.Sprintf("{v%d:string}", from)})
	}
	p := release.Package{Name: name, Version: version, Digest: name + "@" + version, Seq: int64(len(w.store) + 1), Manifest: m, Describe: d}
	w.store[p.Digest] = p
	return p
}

func (w *world) Get(digest string) (release.Package, error) {
	p, ok := w.store[digest]
	if !ok {
		return p, release.ErrNotFound
	}
	return p, nil
}

func (w *world) Look(digest string) (release.Package, error) { return w.Get(digest) }

func (w *world) Remove(digest string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.store, digest)
	return nil
}

func (w *world) Vouch(p release.Package) error {
	if w.doubted[p.Version] {
		return &trust.UntrustedError{Key: "A", Revoked: true}
	}
	return nil
}

func (w *world) free() (uint64, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.memory, w.memory > 0
}

func (w *world) List() ([]release.Package, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.store)), nil
}

func (w *world) Versions(service string) (list []release.Package, err error) {
	for _, digest := range slices.Sorted(maps.Keys(w.store)) {
		if p := w.store[digest]; p.Name == service {
			list = append(list, p)
		}
	}
	return list, nil
}

func (w *world) ground(service string) *ground {
	g := w.grounds[service]
	if g == nil {
		g = &ground{open: map[string]bool{}}
		w.grounds[service] = g
	}
	return g
}

func (w *world) complain(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

func (p *proc) dead() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *proc) schema() int { return p.pkg.Describe.Tables[0].Version }

// serving is active for those who do not hold the lock.
func (w *world) serving(service string) (p *proc) {
	w.with(func() { p = w.active(service) })
	return p
}

// active returns the serving process of a service. The caller holds the lock.
func (w *world) active(service string) *proc {
	for _, p := range w.procs {
		if p.pkg.Name == service && !p.dead() && p.role == Active {
			return p
		}
	}
	return nil
}

func (w *world) readable(p release.Package) error {
	schema := p.Describe.Tables[0].Version
	for _, s := range w.ground(p.Name).shapes {
		if s.version > schema && !s.also[schema] {
			return fmt.Errorf("a row of schema %d has no shadow for %d", s.version, schema)
		}
	}
	return nil
}

func (w *world) spawn(p release.Package) (*proc, error) {
	if w.broken[p.Version] {
		return nil, fmt.Errorf("%s does not start", p.Version)
	}
	if err := w.readable(p); err != nil {
		return nil, err
	}
	if err := w.listen(p); err != nil {
		return nil, err
	}
	in := &proc{
		id: fmt.Sprintf("%s-%d", p.Version, len(w.procs)), pkg: p, role: Standby, done: make(chan struct{}), lag: 1 << 20,
	}
	w.procs = append(w.procs, in)
	return in, nil
}

func (w *world) activate(p *proc, also map[string]int32, paired bool) error {
	if p.role == Active {
		return nil
	}
	if other := w.active(p.pkg.Name); other != nil {
		w.complain("%s becomes active while %s is", p.id, other.id)
	}
	if err := w.readable(p.pkg); err != nil {
		w.complain("%s: %v", p.id, err)
		return err
	}
	g := w.ground(p.pkg.Name)
	switch {
	case g.conns == p || g.conns == nil:
	case paired && p.marker:
	default:
		g.lost++
	}
	g.conns = p
	if p.peer != nil {
		p.peer.marker = false
	}
	p.marker, p.role, p.refused = false, Active, nil
	g.shapes = append(g.shapes, shape{version: p.schema(), also: versions(also)})
	return nil
}

func versions(also map[string]int32) map[int]bool {
	m := map[int]bool{}
	for _, v := range also {
		m[int(v)] = true
	}
	return m
}

// kill ends a process; the host starts what it was given again.
func (w *world) kill(p *proc) {
	if p.dead() {
		return
	}
	close(p.done)
	g := w.ground(p.pkg.Name)
	if g.conns == p && (p.peer == nil || !p.peer.marker) {
		g.lost++
		g.conns = nil
	}
	wasActive := p.role == Active
	p.role = ""
	w.tidy(p.pkg.Name)
	if wasActive && !g.taken && g.given != nil {
		w.supervise(g)
	}
}

func (w *world) supervise(g *ground) {
	in, err := w.spawn(*g.given)
	if err != nil {
		w.complain("the host cannot start %s: %v", g.given.Version, err)
		return
	}
	if err := w.activate(in, nil, false); err != nil {
		w.complain("the host cannot activate %s: %v", g.given.Version, err)
	}
}

// powerFails ends every process and loses what is not on disk.
func (w *world) powerFails() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.grounds {
		g.given, g.taken, g.open = nil, true, map[string]bool{}
	}
	for _, p := range w.procs {
		w.kill(p)
	}
	w.records = slices.Clone(w.records[:w.synced])
}

// daemon is one life of the daemon: after its crash every goroutine that calls out ends there.
type daemon struct {
	w    *world
	e    *Engine
	mu   sync.Mutex
	lost bool
}

func (w *world) boot() *daemon {
	w.mu.Lock()
	for _, g := range w.grounds {
		g.taken, g.given = false, nil
	}
	records := slices.Clone(w.records)
	w.synced = len(w.records)
	w.mu.Unlock()
	d := &daemon{w: w}
	e, err := New(Options{Host: d, Journal: ledger{d}, Records: records, Store: w, Free: w.free, Operator: &w.operator})
	if err != nil {
		w.t.Fatal(err)
	}
	d.e = e
	return d
}

// do runs f as a part of the daemon and returns when f does or the daemon has crashed.
func (d *daemon) do(f func(e *Engine)) (crashed bool) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(d.e)
	}()
	<-done
	return d.gone()
}

func (d *daemon) gone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost
}

func (d *daemon) check() {
	if d.gone() {
		runtime.Goexit()
	}
}

func (d *daemon) crash() {
	d.mu.Lock()
	d.lost = true
	d.mu.Unlock()
	runtime.Goexit()
}

// end is a crash, or the clean up after one.
func (d *daemon) end() {
	d.mu.Lock()
	d.lost = true
	d.mu.Unlock()
	d.e.Close()
}

// next counts a call and asks the script about it.
func (d *daemon) next(call string) act {
	d.check()
	w := d.w
	w.mu.Lock()
	n := len(w.calls)
	w.calls = append(w.calls, call)
	s := w.script
	w.mu.Unlock()
	if s == nil {
		return well
	}
	a := s(n, call)
	if a == crash {
		d.crash()
	}
	return a
}

// call is one call to a process.
func (d *daemon) call(ctx context.Context, p *proc, name string, effect func() error) error {
	w := d.w
	a := d.next(name + " " + p.pkg.Name + " " + p.pkg.Version)
	switch a {
	case fail:
		return errScripted
	case busy:
		return ErrBusy
	case die:
		w.with(func() { w.kill(p) })
	case freeze:
		w.with(func() { p.frozen = true })
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if p.dead() {
		return fmt.Errorf("%s: %w", p.id, ErrGone)
	}
	frozen := false
	w.with(func() { frozen = p.frozen })
	if frozen || a == hang {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.done:
			return ErrGone
		}
	}
	time.Sleep(time.Millisecond)
	d.check()
	var err error
	w.with(func() { err = effect() })
	switch a {
	case failAfter:
		err = errScripted
	case dieAfter:
		w.with(func() { w.kill(p) })
	case crashAfter:
		d.crash()
	}
	return err
}

func (w *world) with(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// listens are the sockets of a package.
func (w *world) listens(p release.Package) (list []string) {
	d, err := p.Decisions(w.operator.AtStart)
	if err != nil {
		w.complain("%s: %v", p.Name, err)
	}
	for _, l := range d.Listeners(p.Manifest) {
		list = append(list, l.Address)
	}
	return list
}

func (w *world) listen(p release.Package) error {
	for _, address := range w.listens(p) {
		if w.ports[address] {
			return &ListenError{Name: "http", Address: address, Err: errors.New("address already in use")}
		}
		w.ground(p.Name).open[address] = true
	}
	return nil
}

// tidy closes the listeners that nobody needs, unless the service is taken.
func (w *world) tidy(service string) {
	g, need := w.ground(service), map[string]bool{}
	if g.taken {
		return
	}
	for _, p := range w.procs {
		if p.pkg.Name == service && !p.dead() {
			for _, address := range w.listens(p.pkg) {
				need[address] = true
			}
		}
	}
	if g.given != nil {
		for _, address := range w.listens(*g.given) {
			need[address] = true
		}
	}
	maps.DeleteFunc(g.open, func(address string, _ bool) bool { return !need[address] })
}

func (d *daemon) Listen(ctx context.Context, p release.Package) (err error) {
	a := d.next("listen " + p.Name + " " + p.Version)
	switch a {
	case fail, failAfter, busy, die, dieAfter:
		return errScripted
	case hang, freeze:
		<-ctx.Done()
		return &ListenError{Name: "http", Address: "127.0.0.1:9", Err: context.Cause(ctx)}
	}
	d.w.with(func() { err = d.w.listen(p) })
	if a == crashAfter {
		d.crash()
	}
	return err
}

func (d *daemon) Start(ctx context.Context, p release.Package) (Instance, error) {
	a := d.next("start " + p.Name + " " + p.Version)
	switch a {
	case fail, failAfter, busy, die:
		return nil, errScripted
	case hang, freeze:
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	time.Sleep(5 * time.Millisecond)
	d.check()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	w := d.w
	var in *proc
	var err error
	w.with(func() {
		if !w.ground(p.Name).taken && d.e.tried() == nil {
			w.complain("%s is started but was not taken", p.Name)
		}
		if in, err = w.spawn(p); err == nil && a == dieAfter {
			w.kill(in)
		}
	})
	if a == crashAfter {
		d.crash()
	}
	if err != nil {
		return nil, err
	}
	return &handle{d, in}, nil
}

func (d *daemon) Instances(service string) []Instance {
	d.check()
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	var list []Instance
	for _, p := range d.w.procs {
		if p.pkg.Name == service && !p.dead() {
			list = append(list, &handle{d, p})
		}
	}
	return list
}

func (d *daemon) Take(service string) Instance {
	a := d.next("take " + service)
	d.w.mu.Lock()
	defer d.w.mu.Unlock()
	d.w.ground(service).taken = true
	if a == crashAfter {
		d.mu.Lock()
		d.lost = true
		d.mu.Unlock()
		runtime.Goexit()
	}
	if p := d.w.active(service); p != nil {
		return &handle{d, p}
	}
	return nil
}

func (d *daemon) Supervise(s release.Supervision, order []string) {
	if told := d.w.told; told != nil {
		d.w.told = nil
		told()
	}
	d.w.with(func() { d.w.tree, d.w.starts = s, order })
}

func (d *daemon) Give(service string, in Instance) {
	a := d.next("give " + service)
	w := d.w
	w.with(func() {
		g := w.ground(service)
		g.taken, g.given = false, nil
		defer w.tidy(service)
		if in == nil {
			if p := w.active(service); p != nil {
				w.complain("%s is given up while %s serves", service, p.id)
			}
			return
		}
		p := in.Package()
		g.given = &p
		h, ours := in.(*handle)
		switch {
		case !ours || h.p.dead():
			w.supervise(g)
		case h.p.role != Active:
			w.complain("%s is given but does not serve", h.p.id)
		}
	})
	if a == crashAfter {
		d.crash()
	}
}

// handle is a process as one daemon knows it.
type handle struct {
	d *daemon
	p *proc
}

var (
	_ Host     = (*daemon)(nil)
	_ Instance = (*handle)(nil)
)

func (h *handle) ID() string                 { return h.p.id }
func (h *handle) Package() release.Package   { return h.p.pkg }
func (h *handle) Describe() describe.Service { return h.p.pkg.Describe }
func (h *handle) Done() <-chan struct{}      { return h.p.done }

func (h *handle) Status(ctx context.Context) (s Status, err error) {
	err = h.d.call(ctx, h.p, "status", func() error {
		s = Status{Role: h.p.role, Lag: h.p.lag, Traffic: h.d.w.traffic[h.p.pkg.Version], Rows: map[string]uint64{"rows": 1_000_000}, Refused: h.p.refused, RSS: 90 << 20, Private: 64 << 20}
		if h.p.role == Standby {
			s.Unready = h.d.w.unready
		}
		h.p.lag /= 4
		return nil
	})
	return s, err
}

func (h *handle) Health(ctx context.Context) error {
	return h.d.call(ctx, h.p, "health", func() error {
		if h.d.w.sick[h.p.pkg.Version] {
			return errors.New("unhealthy")
		}
		return nil
	})
}

func (h *handle) Rehearse(ctx context.Context, down map[string]int32, progress func(Progress)) (r Rehearsal, err error) {
	call := "rehearse"
	if len(down) > 0 {
		call = "rehearse down"
	}
	err = h.d.call(ctx, h.p, call, func() error {
		if h.p.role != Standby && len(down) == 0 {
			h.d.w.complain("%s rehearses but is %s", h.p.id, h.p.role)
		}
		if bad := h.d.w.badRow[call]; bad != nil {
			return bad
		}
		r = Rehearsal{Rows: 1_000_000, Changed: 1_000_000, Digest: "d"}
		return nil
	})
	progress(Progress{Done: r.Rows, Total: r.Rows})
	return r, err
}

func (h *handle) Pair(ctx context.Context, with Instance) error {
	return h.d.call(ctx, h.p, "pair", func() error {
		other := with.(*handle).p
		if other.dead() {
			return ErrGone
		}
		if h.p.role != Active || other.role != Standby {
			h.d.w.complain("%s (%s) is paired with %s (%s)", h.p.id, h.p.role, other.id, other.role)
		}
		h.p.peer, other.peer = other, h.p
		return nil
	})
}

func (h *handle) Shadow(ctx context.Context, v map[string]int32, snapshot bool, _ func(Progress)) error {
	return h.d.call(ctx, h.p, "shadow", func() error {
		if h.p.role != Active {
			return errors.New("not the writer")
		}
		g := h.d.w.ground(h.p.pkg.Name)
		for i := range g.shapes {
			for version := range versions(v) {
				if snapshot {
					g.shapes[i].also[version] = true
				}
			}
		}
		g.shapes = append(g.shapes, shape{version: h.p.schema(), also: versions(v)})
		return nil
	})
}

func (h *handle) Release(ctx context.Context, _ time.Duration, cut bool) (Released, error) {
	return Released{}, h.d.call(ctx, h.p, "release", func() error {
		paired := h.p.peer != nil && !h.p.peer.dead()
		switch {
		case h.p.role != Active:
			return nil
		case paired:
			h.p.peer.marker = true
		case !cut:
			return ErrUnpaired
		}
		h.p.role = Standby
		return nil
	})
}

func (h *handle) Activate(ctx context.Context, also map[string]int32, paired bool) (Activated, error) {
	h.d.w.mu.Lock()
	silent := paired && !h.p.marker && h.p.role != Active
	h.d.w.mu.Unlock()
	if silent {
		time.Sleep(900 * time.Millisecond) // waits for a last word that does not come
	}
	return Activated{}, h.d.call(ctx, h.p, "activate", func() error { return h.d.w.activate(h.p, also, paired) })
}

func (h *handle) Settle(ctx context.Context) error {
	return h.d.call(ctx, h.p, "settle", func() error {
		g := h.d.w.ground(h.p.pkg.Name)
		if h.p.role == Active {
			g.shapes = []shape{{version: h.p.schema(), also: map[int]bool{}}}
		}
		if h.p.peer != nil {
			h.p.peer.peer, h.p.peer = nil, nil
		}
		return nil
	})
}

// Exit tells how the process ended; here every one is killed.
func (h *handle) Exit() string { return "signal: killed" }

// Stop ends the process whatever happens on the way, as a kill does.
func (h *handle) Stop(ctx context.Context) error {
	err := h.d.call(ctx, h.p, "stop", func() error { h.d.w.kill(h.p); return nil })
	h.d.check()
	h.d.w.with(func() { h.d.w.kill(h.p) })
	return err
}

// ledger is the journal of one daemon.
type ledger struct{ d *daemon }

func (l ledger) Append(payload []byte) (uint64, error) {
	seq, sync, err := l.put(payload)
	if err != nil {
		return 0, err
	}
	return seq, sync()
}

func (l ledger) Write(payload []byte) (uint64, func() error, error) {
	seq, _, err := l.put(payload)
	return seq, func() error {
		a := l.d.next("journal sync")
		if a == fail || a == failAfter {
			return errScripted
		}
		if a == hang {
			time.Sleep(100 * time.Millisecond)
			l.d.check()
		}
		l.d.w.with(func() { l.d.w.synced = max(l.d.w.synced, int(seq)) })
		if a == crashAfter {
			l.d.crash()
		}
		return nil
	}, err
}

func (l ledger) put(payload []byte) (uint64, func() error, error) {
	var rec record
	if err := json.Unmarshal(payload, &rec); err != nil {
		return 0, nil, err
	}
	a := l.d.next("journal " + rec.Kind)
	if a == fail || a == hang {
		return 0, nil, errScripted
	}
	w := l.d.w
	var seq uint64
	w.with(func() {
		seq = uint64(len(w.records) + 1)
		w.records = append(w.records, journal.Record{Seq: seq, Payload: payload})
	})
	if a == crashAfter {
		l.d.crash()
	}
	return seq, func() error { w.with(func() { w.synced = len(w.records) }); return nil }, nil
}

// kinds lists the records of the journal.
func (w *world) kinds() []string {
	records, err := decode(w.records)
	if err != nil {
		w.t.Fatal(err)
	}
	list := make([]string, 0, len(records))
	for _, r := range records {
		list = append(list, r.Kind)
	}
	return list
}

// faults lists what is wrong with the world after everything has come to rest.
func (w *world) faults(e *Engine) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := slices.Clone(w.wrong)
	note := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	name, status := e.Current()
	if e.InProgress() != nil || status != "permanent" {
		note("%s is %s, under way: %v", name, status, e.InProgress())
	}
	set := e.reg.set(name)
	running := map[string][]string{}
	for _, p := range w.procs {
		if p.dead() {
			continue
		}
		running[p.pkg.Name] = append(running[p.pkg.Name], p.id)
		if p.role != Active || set[p.pkg.Name] != itemOf(p.pkg) {
			note("%s is left, %s", p.id, p.role)
		}
	}
	for service := range set {
		if len(running[service]) != 1 {
			note("%s: %d processes", service, len(running[service]))
		}
		if g := w.ground(service); g.taken || g.given == nil || itemOf(*g.given) != set[service] {
			note("%s is not the host's", service)
		}
	}
	if tree, err := w.tree.Tree(); err != nil || tree != e.reg.tree(name) {
		note("the host supervises by %q, and %s has %q", tree, name, e.reg.tree(name))
	}
	list = append(list, w.socketFaults(set)...)
	return append(list, w.ledgerFaults(e)...)
}

// socketFaults wants open what the serving versions listen on, and nothing else.
func (w *world) socketFaults(set map[string]item) (list []string) {
	for service, g := range w.grounds {
		var want []string
		if g.given != nil && set[service] == itemOf(*g.given) {
			want = w.listens(*g.given)
		}
		if got := slices.Sorted(maps.Keys(g.open)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			list = append(list, fmt.Sprintf("%s: %v is open, want %v", service, got, want))
		}
	}
	return list
}

// ledgerFaults wants one outcome for each plan, one permanent release, and the same from a second reading.
func (w *world) ledgerFaults(e *Engine) (list []string) {
	open := 0
	for _, kind := range w.kinds() {
		switch State(kind) {
		case Planned:
			open++
		case Permanent, Aborted, RolledBack:
			open--
		}
		if open < 0 || open > 1 {
			list = append(list, "not one outcome for each plan")
		}
	}
	if open != 0 {
		list = append(list, "a plan without an outcome")
	}
	permanent := 0
	for _, r := range e.Releases() {
		if r.Status == "permanent" {
			permanent++
		} else if r.Status == "current" {
			list = append(list, r.Name+" is still on probation")
		}
	}
	if permanent != 1 {
		list = append(list, fmt.Sprintf("%d permanent releases", permanent))
	}
	return list
}

// unsettled lists the services that still write a shape besides their own.
func (w *world) unsettled() (list []string) {
	for service, g := range w.grounds {
		if p := w.active(service); p != nil && (p.peer != nil || len(g.shapes) == 0 || len(g.shapes[len(g.shapes)-1].also) > 0) {
			list = append(list, service)
		}
	}
	return list
}

func (w *world) lost() (n int) {
	for _, g := range w.grounds {
		n += g.lost
	}
	return n
}

func (w *world) last() string { return w.kinds()[len(w.records)-1] }

func (w *world) story() string {
	return "calls:\n\t" + strings.Join(w.calls, "\n\t") + "\njournal: " + strings.Join(w.kinds(), ", ")
}
