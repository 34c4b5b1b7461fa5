package room

import (
	"encoding/json"
	"slices"
	"sync"
)

// Member is somebody who can be in rooms: a client, or a person at a terminal. Its methods must not wait.
type Member interface {
	Who() Who
	Enter(Entered) *Seat   // the room has let it in, and it takes this seat; nil if it has gone meanwhile
	Hear(e *Event) bool    // in a room that it is in; false says that it does not keep up
	Out(s *Seat, why Exit) // the seat is its own no more
}

// Exit is why a member is put out of a room.
type Exit uint8

// Reasons of an Exit.
const (
	Lagged  Exit = iota // it has missed something
	Removed             // the room is no more
	Kicked              // somebody wanted it so
	Banned              // the same, and it may not come back
)

// Who is what others see of a member.
type Who struct {
	Client string          `json:"client"` // one of a kind
	User   string          `json:"user"`
	Info   json.RawMessage `json:"info,omitempty"`
}

// Entered is how a member comes into a room.
type Entered struct {
	Room       string
	Call       uint32
	Epoch      string
	Offset     uint64 // of the last message
	Missed     []Entry
	Recovering bool  // it has asked for what it missed
	Recovered  bool  // Missed is all of that
	Away       []Who // on their way from another version of the chat, this member among them
}

// Audience is all members, and who of them is in which room. It knows nothing of the rooms' processes, so their crashes
// change nothing here.
type Audience struct {
	mu    sync.RWMutex
	known map[string]Member
	rooms map[string]*circle
}

// NewAudience has nobody.
func NewAudience() *Audience {
	return &Audience{known: map[string]Member{}, rooms: map[string]*circle{}}
}

// Add makes a member known.
func (a *Audience) Add(m Member) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[m.Who().Client] = m
}

// Remove forgets a member who has left all rooms.
func (a *Audience) Remove(m Member) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if client := m.Who().Client; a.known[client] == m {
		delete(a.known, client)
	}
}

// Members is how many there are.
func (a *Audience) Members() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.known)
}

func (a *Audience) member(client string) Member {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.known[client]
}

// Busy is how many rooms have members.
func (a *Audience) Busy() int {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return len(a.rooms)
}

// circle is that of a room; nil if nobody is in it.
func (a *Audience) circle(room string) *circle {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.rooms[room]
}

func (a *Audience) makeCircle(room string) *circle {
	if c := a.circle(room); c != nil {
		return c
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.rooms[room]
	if c == nil {
		c = new(circle)
		a.rooms[room] = c
	}
	return c
}

// forget ends the circle of a room if it has no members.
func (a *Audience) forget(room string, c *circle) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.close() {
		delete(a.rooms, room)
	}
}

// Join has a member take a seat, unless it has left it already. The others are not told.
func (a *Audience) Join(m Member, s *Seat) {
	for !a.makeCircle(s.Room).add(seated{m, s}) {
	}
	if s.left.Load() {
		a.vacate(s)
	}
}

// Leave has a member leave its seat for good. Unless it is quiet the others are told.
func (a *Audience) Leave(m Member, s *Seat, quiet bool) {
	s.left.Store(true)
	if a.vacate(s) && !quiet {
		a.Tell(&Event{Room: s.Room, Kind: Left, Who: m.Who()})
	}
}

// vacate is true if the seat was taken.
func (a *Audience) vacate(s *Seat) bool {
	c := a.circle(s.Room)
	if c == nil {
		return false
	}
	was, last := c.drop(s)
	if last {
		a.forget(s.Room, c)
	}
	return was
}

// Empty puts all members out of a room.
func (a *Audience) Empty(room string, why Exit) {
	c := a.circle(room)
	if c == nil {
		return
	}
	list := c.clear()
	a.forget(room, c)
	for _, m := range list {
		m.Out(m.seat, why)
	}
}

// Expel puts a user out of a room, and tells how many members that were.
func (a *Audience) Expel(room, user string, why Exit) (n int) {
	list := slices.DeleteFunc(a.members(room), func(m seated) bool { return m.Who().User != user })
	return a.putOut(list, why)
}

// putOut takes members out of their room, and then tells them, and those who stay.
func (a *Audience) putOut(list []seated, why Exit) (n int) {
	list = slices.DeleteFunc(list, func(m seated) bool { return !a.vacate(m.seat) })
	for _, m := range list {
		m.Out(m.seat, why)
		a.Tell(&Event{Room: m.seat.Room, Kind: Left, Who: m.Who()})
	}
	return len(list)
}

// Tell tells an event to the members of its room. Those who do not keep up are put out.
func (a *Audience) Tell(e *Event) {
	if c := a.circle(e.Room); c != nil {
		a.putOut(c.tell(e), Lagged)
	}
}

// members are those who are in a room now.
func (a *Audience) members(room string) []seated {
	if c := a.circle(room); c != nil {
		return c.members()
	}
	return nil
}

// Size is how many members are in a room.
func (a *Audience) Size(room string) int {
	if c := a.circle(room); c != nil {
		return c.size()
	}
	return 0
}

// Crowd is how many members are in a room, and how many users those are.
func (a *Audience) Crowd(room string) (members, users int) {
	all, of := a.members(room), map[string]bool{}
	for _, m := range all {
		of[m.Who().User] = true
	}
	return len(all), len(of)
}

// Here lists who is in a room, by user.
func (a *Audience) Here(room string) (list []Who) {
	for _, m := range a.members(room) {
		list = append(list, m.Who())
	}
	sortWho(list)
	return list
}
