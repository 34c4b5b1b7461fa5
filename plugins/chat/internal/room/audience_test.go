package room

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// guest is a member that notes what it hears.
type guest struct {
	name  string
	seat  Seat
	heard []string
	full  bool // it takes nothing
	out   []Exit
}

func (g *guest) Who() Who              { return Who{Client: g.name, User: g.name} }
func (g *guest) Enter(Entered) *Seat   { return &g.seat }
func (g *guest) Out(_ *Seat, why Exit) { g.out = append(g.out, why) }

func (g *guest) Hear(e *Event) bool {
	if g.full {
		return false
	}
	g.heard = append(g.heard, []string{"said", "joined ", "left "}[e.Kind]+e.Who.User)
	return true
}

// come brings guests into a room, one after the other.
func come(a *Audience, joinLeave bool, names ...string) (list []*guest) {
	for _, name := range names {
		g := &guest{name: name, seat: Seat{Room: "general", JoinLeave: joinLeave}}
		a.Join(g, &g.seat)
		a.Tell(&Event{Room: "general", Kind: Joined, Who: g.Who()})
		list = append(list, g)
	}
	return list
}

func TestWhoeverWantsItIsToldWhoComesAndGoes(t *testing.T) {
	a := NewAudience()
	wants := come(a, true, "ada", "bob")
	calm := come(a, false, "eve")[0]
	a.Leave(wants[1], &wants[1].seat, false)
	a.Leave(wants[1], &wants[1].seat, false)
	if want := []string{"joined ada", "joined bob", "joined eve", "left bob"}; !slices.Equal(wants[0].heard, want) {
		t.Errorf("ada has heard %q, want %q", wants[0].heard, want)
	}
	a.Tell(&Event{Room: "general", Kind: Said})
	if want := []string{"said"}; !slices.Equal(calm.heard, want) {
		t.Errorf("eve has heard %q, want %q", calm.heard, want)
	}
}

// A client that lagged and never came back was here for all the others, for as long as they stayed.
func TestOfAMemberThatLagsTheOthersAreToldThatItLeft(t *testing.T) {
	a := NewAudience()
	list := come(a, true, "ada", "bob", "eve")
	list[1].full, list[2].full = true, true
	a.Tell(&Event{Room: "general", Kind: Said})
	if got := list[0].heard[3:]; !slices.Equal(got, []string{"said", "left bob", "left eve"}) {
		t.Errorf("ada has heard %q", got)
	}
	if !slices.Equal(list[1].out, []Exit{Lagged}) || !slices.Equal(list[2].out, []Exit{Lagged}) || a.Size("general") != 1 {
		t.Errorf("bob is out %v, eve %v, and %d are here", list[1].out, list[2].out, a.Size("general"))
	}
}

// Whoever came back at once, while it was being put out, lost its new seat for the old one.
func TestASeatThatWasLeftIsNotTheNextOne(t *testing.T) {
	a := NewAudience()
	ada := come(a, false, "ada")[0]
	next := &Seat{Room: "general"}
	a.Leave(ada, &ada.seat, false)
	a.Join(ada, next)
	a.Leave(ada, &ada.seat, false)
	if a.putOut([]seated{{ada, &ada.seat}}, Lagged) != 0 || a.Size("general") != 1 || len(ada.out) > 0 {
		t.Error("ada is out")
	}
	a.Leave(ada, next, false)
	if a.Busy() != 0 {
		t.Error("somebody is here")
	}
}

// A member that went while its room let it in stayed there, and was told everything for ever.
func TestWhoeverLeavesBeforeItComesDoesNotCome(t *testing.T) {
	a := NewAudience()
	ada := &guest{name: "ada", seat: Seat{Room: "general"}}
	a.Leave(ada, &ada.seat, false)
	a.Join(ada, &ada.seat)
	if a.Busy() != 0 {
		t.Error("somebody is here")
	}
}

// Members come and go in any order, and everybody who is here hears everything, once.
func TestMembersComeAndGo(t *testing.T) {
	a := NewAudience()
	all := make([]*guest, 50)
	for n := range all {
		all[n] = &guest{name: fmt.Sprint(n)}
	}
	seats := map[*guest]*Seat{}
	for n := range 2000 {
		g := all[rand.N(len(all))]
		if s := seats[g]; s != nil {
			a.Leave(g, s, true)
			delete(seats, g)
		} else {
			seats[g] = &Seat{Room: "general", JoinLeave: n%3 == 0}
			a.Join(g, seats[g])
		}
		a.Tell(&Event{Room: "general", Kind: Said})
		for _, g := range all {
			want := 0
			if seats[g] != nil {
				want = 1
			}
			if len(g.heard) != want {
				t.Fatalf("%s has heard it %d times, want %d", g.name, len(g.heard), want)
			}
			g.heard = nil
		}
		if a.Size("general") != len(seats) || a.Busy() != min(len(seats), 1) {
			t.Fatalf("%d are here, want %d", a.Size("general"), len(seats))
		}
	}
}
