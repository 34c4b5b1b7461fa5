package room

import (
	"testing"
	"time"
)

// hearer is a member that passes on who comes and goes.
type hearer struct {
	guest
	passed chan string
}

func (h *hearer) Hear(e *Event) bool {
	h.passed <- []string{"said", "joined ", "left "}[e.Kind] + e.Who.User
	return true
}

// Clients were not told of a terminal that another version of the chat waited for in vain: it was here for them for ever.
func TestWhoeverDoesNotComeBackFromAnotherVersionHasLeft(t *testing.T) {
	defer func(d time.Duration) { away = d }(away)
	away = time.Hour
	r, i := start(t, "")
	defer i.Stop()
	_, err := r.Create(t.Context(), "general")
	must(t, err)
	enter := func(m Member, s *Seat) {
		*s = Seat{Room: "general", JoinLeave: true}
		r.Add(m)
		must(t, r.Enter(t.Context(), "general", Enter{Member: m.Who().Client}))
	}
	depart := func(g *guest) {
		must(t, r.Depart(t.Context(), "general", g.Who()))
		r.Leave(g, &g.seat, true)
	}
	ada := &hearer{guest{name: "ada"}, make(chan string, 9)}
	bob, eve := &guest{name: "bob"}, &guest{name: "eve"}
	enter(ada, &ada.seat)
	enter(bob, &bob.seat)
	enter(eve, &eve.seat)
	depart(bob)
	enter(bob, &bob.seat)
	away = time.Millisecond
	depart(eve)
	for _, want := range []string{"joined ada", "joined bob", "joined eve", "left eve"} {
		if got := <-ada.passed; got != want {
			t.Fatalf("ada hears %q, want %q", got, want)
		}
	}
	enter(eve, &eve.seat)
	if got := <-ada.passed; got != "joined eve" {
		t.Errorf("ada hears %q of one who was said to have left", got)
	}
}
