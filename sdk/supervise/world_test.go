package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errCrash = errors.New("crash")

// proc is a child that can be killed: what an actor or a process of the operating system is to a supervisor.
type proc struct {
	id   string
	arg  any
	exit func(error)
	slow time.Duration // how long it takes to end when asked
	deaf bool          // it does not end when asked

	mu     sync.Mutex
	over   bool
	reason error
	log    func(string)
}

func (p *proc) Stop(reason error) {
	switch {
	case p.deaf:
	case p.slow > 0:
		time.AfterFunc(p.slow, func() { p.die(reason) })
	default:
		p.die(reason)
	}
}

func (p *proc) Kill() bool {
	p.die(ErrKilled)
	return true
}

func (p *proc) die(reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.over, p.reason = true, reason
	p.log("-" + p.id)
	p.exit(reason)
}

func (p *proc) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.over
}

// world is a supervisor under test, with what its children and hooks left behind.
type world struct {
	*testing.T
	sup    *Supervisor
	result chan error

	mu     sync.Mutex
	trace  []string // +id started, -id ended
	events []Event
	procs  map[string][]*proc
}

func newWorld(t *testing.T) *world {
	return &world{T: t, result: make(chan error, 1), procs: map[string][]*proc{}}
}

// begin runs a supervisor and waits until it is up or has failed.
func (w *world) begin(flags Flags, specs ...ChildSpec) *world {
	w.Helper()
	if err := w.try(flags, specs...); err != nil {
		w.Fatal(err)
	}
	return w
}

func (w *world) try(flags Flags, specs ...ChildSpec) error {
	sup, err := New(Spec{Name: "top", Flags: flags, Children: specs, Events: w.hook})
	if err != nil {
		return err
	}
	w.sup = sup
	up := make(chan struct{})
	go func() { w.result <- sup.Run(context.Background(), func() { close(up) }) }()
	w.Cleanup(func() { sup.Kill(); <-sup.gone })
	select {
	case <-up:
		return nil
	case err := <-w.result:
		return err
	}
}

func (w *world) hook(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func (w *world) log(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, what)
}

// order is the trace since the last time it was asked.
func (w *world) order() string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	all := strings.Join(w.trace, " ")
	w.trace = nil
	return all
}

// seen lists the events of some kinds since the start, as kind:id:reason.
func (w *world) seen(kinds ...EventKind) string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, e := range w.events {
		if slices.Contains(kinds, e.Kind) {
			all = append(all, fmt.Sprintf("%s:%s:%s", e.Kind, e.ID, FormatReason(e.Reason)))
		}
	}
	return strings.Join(all, " ")
}

// birth makes the processes of a child: it is asked before each start, and may refuse.
type birth func(p *proc, n int) error

func (w *world) start(id string, ask birth) Start {
	n := 0
	return func(ctx context.Context, arg any, exit func(error)) (Child, error) {
		p := &proc{id: id, arg: arg, exit: exit, log: w.log}
		n++
		if ask != nil {
			if err := ask(p, n); err != nil {
				return nil, err
			}
		}
		w.mu.Lock()
		w.procs[id] = append(w.procs[id], p)
		w.trace = append(w.trace, "+"+id)
		w.mu.Unlock()
		return p, nil
	}
}

func (w *world) spec(id string, change ...func(*ChildSpec)) ChildSpec {
	c := ChildSpec{ID: id, Start: w.start(id, nil), Shutdown: time.Second}
	for _, f := range change {
		f(&c)
	}
	return c
}

func (w *world) specs(ids ...string) []ChildSpec {
	var all []ChildSpec
	for _, id := range ids {
		all = append(all, w.spec(id))
	}
	return all
}

func transient(c *ChildSpec)   { c.Restart = Transient }
func temporary(c *ChildSpec)   { c.Restart = Temporary }
func significant(c *ChildSpec) { c.Significant = true }
func brutal(c *ChildSpec)      { c.Shutdown = BrutalKill }
func supervisor(c *ChildSpec)  { c.Type = TypeSupervisor }

func (w *world) asking(ask birth) func(*ChildSpec) {
	return func(c *ChildSpec) { c.Start = w.start(c.ID, ask) }
}

// once lets the first start succeed and no other.
func once(_ *proc, n int) error {
	if n > 1 {
		return errors.New("start fails")
	}
	return nil
}

func ignoring(*proc, int) error { return ErrIgnore }

// live is the newest process of a child.
func (w *world) live(id string) *proc {
	w.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.procs[id]
	if len(all) == 0 {
		w.Fatalf("%s was never started", id)
	}
	return all[len(all)-1]
}

// end has the newest process of a child end by itself.
func (w *world) end(id string, reason error) *proc {
	w.Helper()
	p := w.live(id)
	p.die(reason)
	synctest.Wait()
	return p
}

func (w *world) add(c ChildSpec) *proc {
	w.Helper()
	i, err := w.sup.StartChild(w.Context(), c)
	if err != nil {
		w.Fatalf("start %s: %v", c.ID, err)
	}
	p, _ := i.Child.(*proc)
	return p
}

func (w *world) addDynamic(arg any) (string, *proc) {
	w.Helper()
	i, err := w.sup.StartDynamic(w.Context(), arg)
	if err != nil {
		w.Fatalf("start dynamic: %v", err)
	}
	p, _ := i.Child.(*proc)
	return i.ID, p
}

// which is Children as one line: id:state, the newest first.
func (w *world) which() string {
	w.Helper()
	synctest.Wait()
	kids, err := w.sup.Children(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	var all []string
	for _, i := range kids {
		all = append(all, i.ID+":"+i.State.String())
	}
	return strings.Join(all, " ")
}

func (w *world) wantWhich(want string) {
	w.Helper()
	if got := w.which(); got != want {
		w.Errorf("children are %q, want %q", got, want)
	}
}

// wantCounts compares specs, active, supervisors, workers.
func (w *world) wantCounts(specs, active, supervisors, workers int) {
	w.Helper()
	synctest.Wait()
	got, err := w.sup.Count(w.Context())
	if want := (Counts{specs, active, supervisors, workers}); err != nil || got != want {
		w.Errorf("counts %+v %v, want %+v", got, err, want)
	}
}

func (w *world) wantOrder(want string) {
	w.Helper()
	if got := w.order(); got != want {
		w.Errorf("order was %q, want %q", got, want)
	}
}

// wantErr wants err to be want.
func (w *world) wantErr(err, want error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("got %v, want %v", err, want)
	}
}

func (w *world) wantUp() {
	w.Helper()
	synctest.Wait()
	select {
	case err := <-w.result:
		w.Fatalf("the supervisor has ended: %v", err)
	default:
	}
}

// wantDown wants the supervisor to have ended by a shutdown, which escalation is, with no child left.
func (w *world) wantDown() error {
	w.Helper()
	synctest.Wait()
	select {
	case err := <-w.result:
		w.wantErr(err, ErrShutdown)
		w.wantAllDead()
		return err
	default:
		w.Fatal("the supervisor has not ended")
		return nil
	}
}

func (w *world) wantAllDead() {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, all := range w.procs {
		for _, p := range all {
			if p.alive() {
				w.Errorf("%s runs on", id)
			}
		}
	}
}

// stop stops the supervisor and waits; the reason comes back.
func (w *world) stop() {
	w.Helper()
	w.sup.Stop(ErrShutdown)
	<-w.sup.gone
	w.wantDown()
}

func (w *world) terminate(id string) {
	w.Helper()
	if err := w.sup.TerminateChild(w.Context(), id); err != nil {
		w.Errorf("terminate %s: %v", id, err)
	}
}

func (w *world) delete(id string) {
	w.Helper()
	if err := w.sup.DeleteChild(w.Context(), id); err != nil {
		w.Errorf("delete %s: %v", id, err)
	}
}

func (w *world) restart(id string) {
	w.Helper()
	if _, err := w.sup.RestartChild(w.Context(), id); err != nil {
		w.Errorf("restart %s: %v", id, err)
	}
}

// wantRefused wants restart and delete of a child to be refused with want.
func (w *world) wantRefused(id string, want error) {
	w.Helper()
	_, err := w.sup.RestartChild(w.Context(), id)
	w.wantErr(err, want)
	w.wantErr(w.sup.DeleteChild(w.Context(), id), want)
}
