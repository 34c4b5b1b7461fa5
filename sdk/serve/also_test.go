package serve

import (
	"net/http"
	"testing"
	"time"
)

// A listener that moves is answered at both places while a switch may still be taken back, and a connection travels both
// ways wherever it came in.
func TestMovedListenerIsAnsweredAtBothPlaces(t *testing.T) {
	before, after := listenTCP(t), listenTCP(t)
	old, neu := NewGroup(Options{}), NewGroup(Options{})
	old.HTTP("http", twin(t, before), &http.Server{Handler: echo("old")})
	neu.HTTP("http", twin(t, after), &http.Server{Handler: echo("new")})
	must(t, neu.Also("http", twin(t, before)))
	if err := neu.Also("none", twin(t, before)); err == nil {
		t.Error("a listener leads nowhere, and nobody says so")
	}
	must(t, old.Arm())
	join(t, old, neu)
	swap := func(from, to *Group) {
		t.Helper()
		must(t, from.Park(t.Context(), time.Second))
		_, err := from.Finish()
		must(t, err)
		must(t, to.Await(t.Context()))
		must(t, to.Arm())
	}
	swap(old, neu)
	c1, c2 := dial(t, before.Addr()), dial(t, after.Addr())
	wantAnswer(t, c1, "new")
	wantAnswer(t, c2, "new")
	swap(neu, old)
	wantAnswer(t, c1, "old")
	wantAnswer(t, c2, "old")
	swap(old, neu)
	neu.Only()
	wantAnswer(t, c1, "new")
	wantAnswer(t, c2, "new")
	wantAnswer(t, dial(t, after.Addr()), "new")
	if served, _ := neu.Connections(); served != 3 {
		t.Errorf("%d connections are served, want 3", served)
	}
	neu.Hangup()
}

func wantAnswer(t *testing.T, c *client, version string) {
	t.Helper()
	if got := c.get("/version"); got != version {
		t.Errorf("%q answers, want %q", got, version)
	}
}
