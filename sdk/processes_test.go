package sdk

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/theseusd/theseus/sdk/otp"
	"github.com/theseusd/theseus/sdk/state"
	"github.com/theseusd/theseus/sdk/wire"
)

// Guests is a service with a process for each user. Its second version also knows the user's mood.
type guest struct{ Visits int64 }

type guest2 struct {
	Visits int64
	Mood   string
}

type hit struct{ otp.Reply[int64] }

func guests(version string) Service {
	return Service{Name: "guests", Version: version, Setup: func(s *Setup) error {
		start := guestsV1
		if version != "1.0.0" {
			start = guestsV2
		}
		visit := start(s)
		s.HTTP("http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, err := visit(strings.TrimPrefix(r.URL.Path, "/"))
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			fmt.Fprintf(w, "%s %d", version, n)
		}))
		return nil
	}}
}

func guestsV1(s *Setup) func(user string) (int64, error) {
	b := &otp.Behaviour[guest]{Name: "guest"}
	otp.OnCall(b, func(_ *otp.Ctx, s *guest, _ hit) (int64, error) { s.Visits++; return s.Visits, nil })
	return visiting(s.Node(otp.Options{Behaviours: []otp.AnyBehaviour{b}}), b)
}

func guestsV2(s *Setup) func(user string) (int64, error) {
	b := &otp.Behaviour[guest2]{Name: "guest", State: state.Schema[guest2]{
		Version: 2, Steps: []state.AnyStep{state.Add{From: 1, Fields: map[string]any{"Mood": "calm"}}},
	}}
	otp.OnCall(b, func(_ *otp.Ctx, s *guest2, _ hit) (int64, error) { s.Visits++; return s.Visits, nil })
	return visiting(s.Node(otp.Options{Behaviours: []otp.AnyBehaviour{b}}), b)
}

// visiting calls the process of a user, and starts it at the first visit.
func visiting[S any](n *otp.Node, b *otp.Behaviour[S]) func(user string) (int64, error) {
	return func(user string) (int64, error) {
		for {
			visits, err := otp.Call(n, otp.Name(user), hit{})
			if !errors.Is(err, otp.ErrNoProc) {
				return visits, err
			}
			if _, err := otp.Start(n, b, nil, otp.Named(otp.Name(user))); err != nil && !errors.Is(err, otp.ErrTaken) {
				return 0, err
			}
		}
	}
}

func guestRig(t *testing.T) *rig {
	r := newRig(t)
	r.of = guests
	return r
}

var guestShadows = map[string]int32{"process/guest": 1}

func TestProcessesTakeTurnsWithTheirVersions(t *testing.T) {
	r := guestRig(t)
	v1 := r.serve(r.open("1.0.0"))
	r.ask("/ada")
	r.ask("/bob")
	v2 := r.open("2.0.0")
	r.pair(v1, v2)
	count := 1
	for range 5 {
		r.swap(v1, v2, guestShadows)
		count++
		for _, user := range []string{"/ada", "/bob"} {
			if got, want := r.ask(user), fmt.Sprintf("2.0.0 %d", count); got != want {
				t.Fatalf("%s: %q, want %q", user, got, want)
			}
		}
		r.swap(v2, v1, nil)
		count++
		for _, user := range []string{"/ada", "/bob"} {
			if got, want := r.ask(user), fmt.Sprintf("1.0.0 %d", count); got != want {
				t.Fatalf("%s after the way back: %q, want %q", user, got, want)
			}
		}
	}
}

func TestDescribeTellsBehaviours(t *testing.T) {
	d, err := Describe(guests("2.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	states, _ := d.Table("process/guest")
	if len(d.Processes) != 1 || d.Processes[0] != "guest" || states.Version != 2 {
		t.Errorf("%+v", d)
	}
}

// A version that stops in order leaves its processes to the next start; one that does not, leaves none.
func TestProcessesAfterAStopAndAfterACrash(t *testing.T) {
	r := guestRig(t)
	v1 := r.serve(r.open("1.0.0"))
	r.ask("/ada")
	r.conn = nil
	v1.close()
	r.serve(r.open("1.0.0"))
	if got := r.ask("/ada"); got != "1.0.0 2" {
		t.Errorf("after a stop: %q", got)
	}
	after := r.serve(r.open("1.0.0")) // fences the one before, as after a crash
	if n, err := otp.Call(after.procs.Node(), otp.Name("ada"), hit{}); !errors.Is(err, otp.ErrNoProc) {
		t.Errorf("after a crash: %d %v", n, err)
	}
}

func TestBusyProcessIsNotReleased(t *testing.T) {
	r := newRig(t)
	release := make(chan struct{})
	b := &otp.Behaviour[guest]{Name: "guest"}
	otp.OnCast(b, func(_ *otp.Ctx, _ *guest, _ hit) error { <-release; return nil })
	r.of = func(version string) Service {
		return Service{Name: "slow", Version: version, Setup: func(s *Setup) error {
			s.HTTP("http", http.NotFoundHandler())
			s.Node(otp.Options{Behaviours: []otp.AnyBehaviour{b}})
			return nil
		}}
	}
	v1 := r.serve(r.open("1.0.0"))
	n := v1.procs.Node()
	pid, err := otp.Start(n, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := otp.Cast(n, pid, hit{}); err != nil {
		t.Fatal(err)
	}
	_, err = v1.Release(t.Context(), &wire.ReleaseRequest{DrainMicros: 300_000})
	if status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), pid.String()) {
		t.Fatalf("%v, want ABORTED and the process", err)
	}
	close(release)
	if _, err := v1.Release(t.Context(), &wire.ReleaseRequest{DrainMicros: 1_000_000, Cut: true}); err != nil {
		t.Error(err)
	}
}

// What waits in mailboxes has to be counted, so it is told only to who asks.
func TestMailboxesAreCountedWhenSomebodyAsks(t *testing.T) {
	r := guestRig(t)
	v1 := r.serve(r.open("1.0.0"))
	r.ask("/ada")
	for _, asked := range []bool{true, false} {
		reply, err := v1.Status(t.Context(), &wire.StatusRequest{Mailboxes: asked})
		if err != nil || (reply.Mailbox != nil) != asked || reply.GetMailbox() != 0 {
			t.Errorf("asked %v: %v, %v", asked, reply, err)
		}
	}
}

// A request that does not end is cut off by a stop; what is in the processes has nothing to do with it.
func TestProcessesAfterAStopUnderARequestThatDoesNotEnd(t *testing.T) {
	r := newRig(t)
	hanging, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	r.of = func(version string) Service {
		return Service{Name: "guests", Version: version, Setup: func(s *Setup) error {
			visit := guestsV1(s)
			s.HTTP("http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/hang" {
					close(hanging)
					<-end
				}
				n, err := visit(r.URL.Path)
				fmt.Fprintf(w, "%d %v", n, err)
			}))
			return nil
		}}
	}
	v1 := r.open("1.0.0")
	v1.drain = 20 * time.Millisecond
	r.serve(v1)
	r.ask("/ada")
	r.send("/hang")
	<-hanging
	v1.close()
	r.conn = nil
	r.serve(r.open("1.0.0"))
	if got := r.ask("/ada"); got != "2 <nil>" {
		t.Errorf("after a stop: %q", got)
	}
}

// So is a handler of one process that does not end: the others are left to the next start.
func TestProcessesAfterAStopUnderAHandlerThatDoesNotEnd(t *testing.T) {
	r := guestRig(t)
	hung, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	stuck := &otp.Behaviour[guest]{Name: "stuck"}
	otp.OnCast(stuck, func(*otp.Ctx, *guest, hit) error { close(hung); <-end; return nil })
	r.of = func(version string) Service {
		return Service{Name: "guests", Version: version, Setup: func(s *Setup) error {
			b := &otp.Behaviour[guest]{Name: "guest"}
			otp.OnCall(b, func(_ *otp.Ctx, s *guest, _ hit) (int64, error) { s.Visits++; return s.Visits, nil })
			visit := visiting(s.Node(otp.Options{Behaviours: []otp.AnyBehaviour{b, stuck}}), b)
			s.HTTP("http", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				n, err := visit(r.URL.Path)
				fmt.Fprintf(w, "%d %v", n, err)
			}))
			return nil
		}}
	}
	v1 := r.open("1.0.0")
	v1.drain = 20 * time.Millisecond
	r.serve(v1)
	r.ask("/ada")
	n := v1.procs.Node()
	pid, err := otp.Start(n, stuck, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := otp.Cast(n, pid, hit{}); err != nil {
		t.Fatal(err)
	}
	<-hung
	v1.close()
	r.conn = nil
	r.serve(r.open("1.0.0"))
	if got := r.ask("/ada"); got != "2 <nil>" {
		t.Errorf("after a stop: %q", got)
	}
}
