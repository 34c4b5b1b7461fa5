package otp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/state"
	"github.com/theseusd/theseus/sdk/supervise"
)

// log is a process that notes what it is sent, and keeps those who wait for an answer.
type (
	logbook struct {
		Lines []string
		Held  []From[string]
		Alarm Timer
	}
	note struct{ Text string }
	all  struct{ Reply[[]string] }
	hold struct{ Reply[string] }
	give struct{ Text string }
	set  struct {
		Reply[Timer]
		For time.Duration
	}
	unset struct{ Reply[bool] }
	watch struct {
		Reply[Ref]
		PID  PID
		Link bool
	}
	join struct{ Topic string }
	rest struct{ For time.Duration }
	ask  struct {
		Reply[string]
		To PID
	}
	strange struct{ C chan int }
)

func logbooks(more ...func(b *Behaviour[logbook])) *Behaviour[logbook] {
	b := &Behaviour[logbook]{Name: "logbook", TrapExit: true}
	OnCast(b, func(_ *Ctx, s *logbook, m note) error { s.Lines = append(s.Lines, m.Text); return nil })
	OnCall(b, func(_ *Ctx, s *logbook, _ all) ([]string, error) { return s.Lines, nil })
	OnDefer(b, func(_ *Ctx, s *logbook, _ hold, from From[string]) error {
		s.Held = append(s.Held, from)
		return nil
	})
	OnCast(b, func(_ *Ctx, s *logbook, m give) error {
		for _, from := range s.Held {
			from.Answer(m.Text, nil)
		}
		s.Held = nil
		return nil
	})
	OnCall(b, func(c *Ctx, s *logbook, m set) (Timer, error) {
		s.Alarm = c.SendAfter(m.For, note{"alarm"})
		return s.Alarm, nil
	})
	OnCall(b, func(c *Ctx, s *logbook, _ unset) (bool, error) { return c.Cancel(s.Alarm), nil })
	OnCall(b, func(c *Ctx, s *logbook, m watch) (Ref, error) {
		if m.Link {
			c.Link(m.PID)
			return 0, nil
		}
		return Monitor(c, m.PID), nil
	})
	OnCast(b, func(c *Ctx, _ *logbook, m join) error { c.Join(m.Topic); return nil })
	OnCast(b, func(_ *Ctx, _ *logbook, m rest) error { return IdleTimeout(m.For) })
	OnCall(b, func(c *Ctx, _ *logbook, m ask) (string, error) { return Call(c, m.To, hold{}) })
	OnInfo(b, func(_ *Ctx, s *logbook, m any) error {
		switch m := m.(type) {
		case Down:
			s.Lines = append(s.Lines, fmt.Sprint("down ", m.Ref, " ", m.Reason))
		case Exited:
			s.Lines = append(s.Lines, fmt.Sprint("exited ", m.PID, " ", m.Reason))
		case Unknown:
			s.Lines = append(s.Lines, "unknown "+m.Name)
		default:
			s.Lines = append(s.Lines, fmt.Sprintf("%T", m))
		}
		return nil
	})
	for _, f := range more {
		f(b)
	}
	return b
}

// voyage is two versions of a service with logbooks, the first of which is awake.
type voyage struct {
	*port
	b      *Behaviour[logbook]
	v1, v2 *ship
}

func newVoyage(t *testing.T, more ...func(b *Behaviour[logbook])) *voyage {
	t.Helper()
	v := &voyage{port: newPort(t), b: logbooks(more...)}
	v.v1 = v.launch("1.0.0", v.options())
	v.v2 = v.build("2.0.0", v.options())
	return v
}

func (v *voyage) options() Options { return Options{Behaviours: []AnyBehaviour{v.b}} }

func (v *voyage) start(options ...Option) PID {
	v.t.Helper()
	pid, err := Start(v.v1.Node(), v.b, nil, options...)
	if err != nil {
		v.t.Fatal(err)
	}
	return pid
}

func lines(t *testing.T, n *Node, to Addr) []string {
	t.Helper()
	got, err := Call(n, to, all{})
	if err != nil {
		t.Error(err)
	}
	return got
}

func reads(t *testing.T, n *Node, to Addr, want ...string) {
	t.Helper()
	if got := lines(t, n, to); !slices.Equal(got, want) {
		t.Errorf("it reads %q, want %q", got, want)
	}
}

// comes waits for a line.
func comes(t *testing.T, n *Node, to Addr, want string) {
	t.Helper()
	waitFor(t, func() bool { return slices.Contains(lines(t, n, to), want) })
}

// waitsForNothing is a process to which no timer will send anything.
func waitsForNothing(t *testing.T, n *Node, pid PID) {
	t.Helper()
	n.procs.get(pid).with(func(m *more) {
		if len(m.timers) > 0 {
			t.Errorf("%s has %d timers", pid, len(m.timers))
		}
	})
}

func TestMailGoesOnInItsOrder(t *testing.T) {
	v := newVoyage(t)
	pid := v.start()
	is(t, Suspend(v.v1.Node(), pid), nil)
	for i := range 100 {
		is(t, Cast(v.v1.Node(), pid, note{fmt.Sprint(i)}), nil)
	}
	answers := make(chan []string)
	go func() {
		got, err := Call(v.v1.Node(), pid, all{})
		if err != nil {
			t.Error(err)
		}
		answers <- got
	}()
	waitFor(t, func() bool { info, _ := Inspect(v.v1.Node(), pid); return info.Mailbox == 101 })
	v.v1.switchTo(v.v2, nil)
	info, err := Inspect(v.v2.Node(), pid)
	if err != nil || !info.Suspended || info.Mailbox != 101 {
		t.Errorf("%+v %v", info, err)
	}
	is(t, Resume(v.v2.Node(), pid), nil)
	got := <-answers // by a caller who waits in the first version
	if len(got) != 100 || got[0] != "0" || got[99] != "99" {
		t.Errorf("the caller got %q", got)
	}
}

// Callers wait in the first version, and are answered by the second one, by the first one again, and by an exit.
func TestDeferredRepliesReachThoseWhoWait(t *testing.T) {
	v := newVoyage(t)
	one, two, three := v.start(), v.start(), v.start()
	type result struct {
		text string
		err  error
	}
	call := func(pid PID) chan result {
		done := make(chan result, 1)
		go func() {
			text, err := Call(v.v1.Node().With(timeout(30*time.Second)), pid, hold{})
			done <- result{text, err}
		}()
		waitFor(t, func() bool {
			s, err := GetState[logbook](v.v1.Node(), pid)
			return err == nil && len(s.Held) == 1
		})
		return done
	}
	first, second, third := call(one), call(two), call(three)
	v.v1.switchTo(v.v2, nil)
	is(t, Cast(v.v2.Node(), one, give{"from the second"}), nil)
	if got := <-first; got.text != "from the second" || got.err != nil {
		t.Errorf("%+v", got)
	}
	is(t, Halt(v.v2.Node(), three, errCrash), nil)
	var exit *Exit
	if got := <-third; !errors.As(got.err, &exit) || exit.PID != three || exit.Reason.Error() != errCrash.Error() {
		t.Errorf("%+v", got)
	}
	v.v2.switchTo(v.v1, nil)
	is(t, Cast(v.v1.Node(), two, give{"from the first"}), nil)
	if got := <-second; got.text != "from the first" || got.err != nil {
		t.Errorf("%+v", got)
	}
}

func TestProcessThatWaitsForAnotherIsFinishedFirst(t *testing.T) {
	v := newVoyage(t)
	asking, asked := v.start(), v.start()
	done := make(chan error, 1)
	go func() {
		_, err := Call(v.v1.Node().With(timeout(30*time.Second)), asking, ask{To: asked})
		done <- err
	}()
	waitFor(t, func() bool { s, _ := GetState[logbook](v.v1.Node(), asked); return len(s.Held) == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := v.v1.Freeze(ctx)
	if err == nil || !strings.Contains(err.Error(), asking.String()) {
		t.Fatalf("%v, want the process that waits", err)
	}
	is(t, Cast(v.v1.Node(), asked, give{"at last"}), nil)
	is(t, <-done, nil)
	v.v1.switchTo(v.v2, nil)
	reads(t, v.v2.Node(), asking)
}

func TestTimersGoOnWithWhatIsLeft(t *testing.T) {
	v := newVoyage(t)
	soon, late, idle := v.start(), v.start(), v.start()
	began := time.Now()
	for pid, d := range map[PID]time.Duration{soon: 150 * time.Millisecond, late: time.Hour} {
		if _, err := Call(v.v1.Node(), pid, set{For: d}); err != nil {
			t.Fatal(err)
		}
	}
	is(t, Cast(v.v1.Node(), idle, rest{150 * time.Millisecond}), nil)
	v.v1.switchTo(v.v2, nil)
	v.v2.switchTo(v.v1, nil)
	v.v1.switchTo(v.v2, nil)
	comes(t, v.v2.Node(), soon, "alarm")
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("the timer came after %v", took)
	}
	for _, want := range []bool{true, false} {
		if got, err := Call(v.v2.Node(), late, unset{}); err != nil || got != want {
			t.Errorf("cancel: %v %v, want %v", got, err, want)
		}
	}
	waitFor(t, func() bool { s, _ := GetState[logbook](v.v2.Node(), idle); return len(s.Lines) == 1 })
	reads(t, v.v2.Node(), idle, "otp.Idle")
	for _, pid := range []PID{soon, late, idle} {
		waitsForNothing(t, v.v2.Node(), pid)
	}
	reads(t, v.v2.Node(), soon, "alarm")
}

// What is due between a freeze and its end comes once, whoever goes on.
func TestTimerThatIsDueInThePause(t *testing.T) {
	for _, aborted := range []bool{true, false} {
		v := newVoyage(t)
		pid := v.start()
		if _, err := Call(v.v1.Node(), pid, set{For: 30 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		v.v1.letGo()
		waitFor(t, func() bool {
			ph := &v.v1.n.phase
			ph.mu.Lock()
			defer ph.mu.Unlock()
			return len(ph.late) == 1
		})
		next := v.v2
		if aborted {
			next = v.v1
		}
		next.takeOver(nil, true)
		comes(t, next.Node(), pid, "alarm")
		waitsForNothing(t, next.Node(), pid)
		reads(t, next.Node(), pid, "alarm")
	}
}

func TestLinksAndMonitorsHoldInTheNextVersion(t *testing.T) {
	v := newVoyage(t)
	n := v.v1.Node()
	a, b, c := v.start(), v.start(), v.start()
	ref, err := Call(n, a, watch{PID: b})
	is(t, err, nil)
	_, err = Call(n, a, watch{PID: c, Link: true})
	is(t, err, nil)
	v.v1.switchTo(v.v2, nil)
	n = v.v2.Node()
	is(t, Halt(n, b, errCrash), nil)
	is(t, Halt(n, c, ErrShutdown), nil)
	comes(t, n, a, fmt.Sprint("down ", ref, " crash"))
	comes(t, n, a, fmt.Sprint("exited ", c, " shutdown"))
	d := c // gone
	other, err := Call(n, a, watch{PID: d})
	if err != nil || other <= ref {
		t.Errorf("the monitor after %d is %d (%v)", ref, other, err)
	}
	v.v2.switchTo(v.v1, nil)
	comes(t, v.v1.Node(), a, fmt.Sprint("down ", other, " noproc"))
}

func TestNamesAndTopicsHoldInTheNextVersion(t *testing.T) {
	v := newVoyage(t)
	a := v.start(Named("a"))
	b := v.start()
	is(t, Register(v.v1.Node(), "b", b), nil)
	for _, pid := range []PID{a, b} {
		is(t, Cast(v.v1.Node(), pid, join{"news"}), nil)
	}
	reads(t, v.v1.Node(), a)
	reads(t, v.v1.Node(), b)
	v.v1.switchTo(v.v2, nil)
	n := v.v2.Node()
	if WhereIs(n, "a") != a || WhereIs(n, "b") != b || WhereIs(n, "c") != 0 {
		t.Error("names are lost")
	}
	_, err := Start(n, v.b, nil, Named("a"))
	is(t, err, ErrTaken)
	if delivered, shed := Publish(n, "news", note{"x"}); delivered != 2 || shed != 0 {
		t.Errorf("news went to %d and %d", delivered, shed)
	}
	reads(t, n, Name("a"), "x")
	Unregister(n, "b")
	is(t, Halt(n, a, nil), nil)
	v.v2.switchTo(v.v1, nil)
	n = v.v1.Node()
	if WhereIs(n, "a") != 0 || WhereIs(n, "b") != 0 || len(Members(n, "news")) != 1 {
		t.Errorf("names are %s and %s, members %v", WhereIs(n, "a"), WhereIs(n, "b"), Members(n, "news"))
	}
	reads(t, n, b, "x")
	v.start(Named("a"))
}

// Nothing is lost without a word: what cannot travel keeps the version from letting go.
func TestMailThatCannotTravelRefusesTheSwitch(t *testing.T) {
	v := newVoyage(t)
	pid := v.start()
	is(t, Suspend(v.v1.Node(), pid), nil)
	is(t, Cast(v.v1.Node(), pid, strange{}), nil)
	err := v.v1.Freeze(t.Context())
	if err == nil || !strings.Contains(err.Error(), "strange") || !strings.Contains(err.Error(), pid.String()) {
		t.Fatalf("%v, want the message and the process", err)
	}
	is(t, Resume(v.v1.Node(), pid), nil)
	reads(t, v.v1.Node(), pid, "otp.strange")
	v.v1.switchTo(v.v2, nil)
}

func TestMessagesThatCannotTravelAreRefusedAtTheStart(t *testing.T) {
	store, err := state.Open(t.TempDir(), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	type secret struct{ text string }
	for want, b := range map[string]AnyBehaviour{
		"a chan int cannot": behaviourOf[strange]("chan"),
		"not exported":      behaviourOf[secret]("secret"),
		"interface":         behaviourOf[struct{ V any }]("any"),
		"has no name":       behaviourOf[[]string]("list"),
		"without a name":    behaviourOf[note](""),
	} {
		_, err := newLedger(store, "1.0.0", nil, []AnyBehaviour{b})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	_ = secret{}.text
}

func behaviourOf[M any](name string) *Behaviour[logbook] {
	b := &Behaviour[logbook]{Name: name}
	OnCast(b, func(*Ctx, *logbook, M) error { return nil })
	return b
}

// The rehearsal of the version to come finds messages that it would not understand; on the way back they are Unknown.
func TestMessagesOfAnotherVersion(t *testing.T) {
	v := newVoyage(t)
	v.start()
	is(t, v.v1.Keep(t.Context(), func(uint64, uint64) {}), nil)
	is(t, v.v1.n.writeBook(0), nil)
	smaller := &Behaviour[logbook]{Name: "logbook"}
	OnCast(smaller, func(*Ctx, *logbook, note) error { return nil })
	dropped := v.build("3.0.0", Options{Behaviours: []AnyBehaviour{smaller}})
	_, err := dropped.store.Rehearse(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "is not known here") {
		t.Errorf("%v, want the message that was dropped", err)
	}
	changed := logbooks()
	Message[note](changed, "remark")
	other := v.build("3.0.0", Options{Behaviours: []AnyBehaviour{changed}})
	if _, err := other.store.Rehearse(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "is not known here") {
		t.Errorf("%v, want the message that is called otherwise", err)
	}

	type gossip struct{ Text string }
	newer := logbooks(func(b *Behaviour[logbook]) {
		OnCast(b, func(*Ctx, *logbook, gossip) error { return nil })
	})
	third := v.build("3.0.0", Options{Behaviours: []AnyBehaviour{newer}})
	if _, err := third.store.Rehearse(t.Context(), nil); err != nil {
		t.Error(err)
	}
	v.v1.switchTo(third, nil)
	pid, err := Start(third.Node(), newer, nil)
	is(t, err, nil)
	is(t, Suspend(third.Node(), pid), nil)
	is(t, Cast(third.Node(), pid, gossip{"x"}), nil)
	third.switchTo(v.v1, nil)
	if _, err := v.v2.store.Rehearse(t.Context(), nil); err != nil {
		t.Error(err)
	}
	is(t, Resume(v.v1.Node(), pid), nil)
	reads(t, v.v1.Node(), pid, "unknown gossip")
}

func TestRestoreComesBeforeAllMail(t *testing.T) {
	v := newVoyage(t, func(b *Behaviour[logbook]) {
		b.Restore = func(c *Ctx, s *logbook) error {
			s.Lines = append(s.Lines, "restored")
			if len(s.Lines) > 2 {
				return errCrash
			}
			return nil
		}
	})
	pid, bad := v.start(), v.start(Named("bad"))
	is(t, Suspend(v.v1.Node(), pid), nil)
	is(t, Cast(v.v1.Node(), pid, note{"mail"}), nil)
	for range 2 {
		is(t, Cast(v.v1.Node(), bad, note{"x"}), nil)
	}
	reads(t, v.v1.Node(), bad, "x", "x")
	v.v1.switchTo(v.v2, nil)
	is(t, Resume(v.v2.Node(), pid), nil)
	reads(t, v.v2.Node(), pid, "restored", "mail")
	_, err := Call(v.v2.Node(), Name("bad"), all{})
	is(t, err, ErrNoProc)
}

// Supervised processes go on under the supervisor of the next version; after a crash it starts them afresh.
func TestSupervisorsTakeTheirChildrenOver(t *testing.T) {
	p := newPort(t)
	b := logbooks()
	launch := func(version string) *ship {
		root := func(n *Node) (*supervise.Supervisor, error) {
			return supervise.New(supervise.Flags{}, supervise.ChildSpec{ID: "a", Start: Child(n, b, nil, Named("a"))},
				supervise.ChildSpec{ID: "b", Start: Child(n, b, nil, Named("b")), Shutdown: supervise.BrutalKill})
		}
		return p.build(version, Options{Behaviours: []AnyBehaviour{b}, Root: root})
	}
	v1, v2 := launch("1.0.0"), launch("2.0.0")
	v1.takeOver(nil, false)
	a := WhereIs(v1.Node(), "a")
	is(t, Cast(v1.Node(), a, note{"one"}), nil)
	v1.switchTo(v2, nil)
	n := v2.Node()
	reads(t, n, a, "one")
	SendExit(n, a, ErrKilled)
	waitFor(t, func() bool { now := WhereIs(n, "a"); return now != 0 && now != a })
	reads(t, n, Name("a"))
	v2.switchTo(v1, nil)
	is(t, Cast(v1.Node(), Name("a"), note{"two"}), nil)
	reads(t, v1.Node(), Name("a"), "two")
	v3 := launch("2.0.0")
	v3.takeOver(nil, false)
	reads(t, v3.Node(), Name("a"))
	if got := v3.Node().Stats().Processes; got != 2 {
		t.Errorf("there are %d processes", got)
	}
}

func TestAbortedSwitchGoesOnWhereItWas(t *testing.T) {
	v := newVoyage(t)
	pid := v.start(Named("a"))
	done := make(chan string, 1)
	go func() {
		text, _ := Call(v.v1.Node(), pid, hold{})
		done <- text
	}()
	waitFor(t, func() bool { s, _ := GetState[logbook](v.v1.Node(), pid); return len(s.Held) == 1 })
	is(t, v.v1.Freeze(t.Context()), nil)
	is(t, v.v1.Thaw(), nil)
	is(t, Cast(v.v1.Node(), pid, note{"x"}), nil)
	is(t, Cast(v.v1.Node(), pid, give{"y"}), nil)
	if got := <-done; got != "y" {
		t.Errorf("the caller got %q", got)
	}
	reads(t, v.v1.Node(), Name("a"), "x")
	crashed := v.launch("1.0.0", v.options()) // the freeze that was taken back counts no more
	_, err := Call(crashed.Node(), pid, all{})
	is(t, err, ErrNoProc)
}
