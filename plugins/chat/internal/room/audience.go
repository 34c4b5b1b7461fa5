package room

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Member is somebody who can be in rooms: a client, or a person at a terminal. Its methods must not wait.
type Member interface {
	Who() Who
	Enter(Entered) bool        // the room has let it in; false says that it has gone meanwhile
	Hear(e *Event) bool        // in a room that it is in; false says that it does not keep up
	Out(room string, why Exit) // it hears nothing of the room any more, and is to leave it
}

// Exit is why a member has to leave a room.
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
	Recovering bool // it has asked for what it missed
	Recovered  bool // Missed is all of that
}

// Kind of an event.
type Kind uint8

// What happens in a room.
const (
	Said   Kind = iota // a message; its offset is 0 if it is not kept
	Joined             // Who came in
	Left               // Who went
)

// Event is what members of a room are told.
type Event struct {
	Room string
	Kind Kind
	Entry
	Who Who

	frames [4]atomic.Pointer[[]byte]
}

// Frame is the event in one of four forms, made by the first who wants it so.
func (e *Event) Frame(form int, encode func(*Event) []byte) []byte {
	if b := e.frames[form].Load(); b != nil {
		return *b
	}
	b := encode(e)
	e.frames[form].Store(&b)
	return b
}

// notice is a message by the room itself. It is not kept.
func notice(room, text string) *Event {
	return &Event{Room: room, Kind: Said, Entry: Entry{Message: Message{Data: noticeData(text), At: now()}}}
}

func noticeData(text string) []byte {
	return append([]byte(`{"type":"notice",`), Say(text)[1:]...)
}

// Audience is all members, and who of them is in which room. It knows nothing of the rooms' processes, so their crashes
// change nothing here.
type Audience struct {
	mu    sync.RWMutex
	known map[string]Member
	rooms map[string]*circle
}

// circle is the members of one room. When the last has gone it is over, and the next to come makes another.
type circle struct {
	mu   sync.RWMutex
	list []Member
	at   map[Member]int
	over bool
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
		c = &circle{at: map[Member]int{}}
		a.rooms[room] = c
	}
	return c
}

// Join brings a member into a room. The others are not told.
func (a *Audience) Join(room string, m Member) {
	for !a.makeCircle(room).add(m) {
	}
}

// Leave takes a member out of a room. Unless it is quiet the others are told.
func (a *Audience) Leave(room string, m Member, quiet bool) {
	c := a.circle(room)
	if c == nil || !c.drop(m) {
		return
	}
	a.forget(room, c)
	if !quiet {
		a.Tell(&Event{Room: room, Kind: Left, Who: m.Who()})
	}
}

// Empty has all members leave a room, each of whom is told why.
func (a *Audience) Empty(room string, why Exit) {
	c := a.circle(room)
	if c == nil {
		return
	}
	c.mu.Lock()
	list := c.list
	c.list, c.at = nil, map[Member]int{}
	c.mu.Unlock()
	a.forget(room, c)
	for _, m := range list {
		m.Out(room, why)
	}
}

// Expel has a user leave a room, and tells how many members that were.
func (a *Audience) Expel(room, user string, why Exit) (n int) {
	for _, m := range a.members(room) {
		if m.Who().User == user {
			m.Out(room, why)
			n++
		}
	}
	return n
}

// forget ends a circle without members.
func (a *Audience) forget(room string, c *circle) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.list) == 0 && !c.over {
		c.over = true
		delete(a.rooms, room)
	}
}

// add brings a member in, and is false if the circle is over.
func (c *circle) add(m Member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, in := c.at[m]; !in && !c.over {
		c.at[m] = len(c.list)
		c.list = append(c.list, m)
	}
	return !c.over
}

// drop removes a member, and is true if it was there.
func (c *circle) drop(m Member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, in := c.at[m]
	if !in {
		return false
	}
	last := len(c.list) - 1
	c.list[i] = c.list[last]
	c.at[c.list[i]] = i
	c.list[last] = nil
	c.list = c.list[:last]
	delete(c.at, m)
	return true
}

// Tell tells an event to the members of its room. Those who do not keep up are told that they are out.
func (a *Audience) Tell(e *Event) {
	if c := a.circle(e.Room); c != nil {
		for _, m := range c.tell(e) {
			m.Out(e.Room, Lagged)
		}
	}
}

func (c *circle) tell(e *Event) (slow []Member) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, m := range c.list {
		if !m.Hear(e) {
			slow = append(slow, m)
		}
	}
	return slow
}

// members are those who are in a room now.
func (a *Audience) members(room string) []Member {
	c := a.circle(room)
	if c == nil {
		return nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.list)
}

// Size is how many members are in a room.
func (a *Audience) Size(room string) int { return len(a.members(room)) }

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
	slices.SortFunc(list, func(a, b Who) int {
		return strings.Compare(a.User+"\x00"+a.Client, b.User+"\x00"+b.Client)
	})
	return list
}
