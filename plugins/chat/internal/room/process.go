package room

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/theseusd/theseus/sdk/otp"
	"github.com/theseusd/theseus/sdk/state"
)

// Post says something in a room. It is no Message: a row may get another shape in the next version, and what waits for a room
// must keep its own.
type Post struct {
	otp.Reply[Posted]
	User    string
	Client  string // the connection it comes from, if there is one
	ID      string // by which its author knows it
	Data    []byte // JSON
	Passing bool   // it is told and not kept, as its data wants
}

func (p Post) message() Message {
	return Message{User: p.User, Client: p.Client, ID: p.ID, Data: p.Data, At: now()}
}

// Posted is where a message stands. Again says that it stood there before.
type Posted struct {
	Offset uint64 `json:"offset"`
	Epoch  string `json:"epoch"`
	Again  bool   `json:"again,omitempty"`
	Author string `json:"author,omitempty"` // of the message that was changed, if one was
}

// Alter changes a message, or deletes it; what happened is said in the room as well.
type Alter struct {
	otp.Reply[Posted]
	Offset uint64
	Data   []byte // nil deletes
	User   string
	Any    bool // also one that is not the user's own
}

// Enter makes a member hear the room; its answer is given to the member itself, ahead of all that it hears.
type Enter struct {
	otp.Reply[struct{}]
	Member  string
	Call    uint32 // of the member, for the answer
	Quiet   bool   // nobody is told
	Recover bool   // what was missed since Offset is wanted
	Bytes   int    // and it may be given so much at most; no bound if 0
	Epoch   string
	Offset  uint64
}

// Settle is answered when all has been told that was said before.
type Settle struct{ otp.Reply[struct{}] }

// Crash makes the process fail.
type Crash struct {
	otp.Reply[struct{}]
	Reason string
}

// Errors of what is asked of a room.
var (
	ErrNotYours = errors.New("that message is somebody else's")
	ErrDeleted  = errors.New("that message is deleted")
	ErrNoMember = errors.New("the member is gone")
	ErrCrash    = errors.New("crashed on request")
)

// state of a process: all else is in the log.
type process struct {
	Name string               `json:"name"`
	Away map[string]traveller `json:"away,omitempty"` // by client

	room  Room
	ids   *seen // of messages
	spoke *seen // users, in slow mode
}

// behaviour of all rooms.
func behaviour(l *Log, a *Audience) *otp.Behaviour[process] {
	k := &kind{l, a}
	b := &otp.Behaviour[process]{
		Name: "room", State: state.Schema[process]{Version: 1},
		Init: func(_ *otp.Ctx, arg any) (process, error) {
			p := process{Name: arg.(string)}
			return p, k.begin(&p)
		},
		Restore: func(_ *otp.Ctx, p *process) error { return k.open(p) },
	}
	otp.OnDefer(b, k.post)
	otp.OnDefer(b, k.alter)
	otp.OnCall(b, k.enter)
	otp.OnCall(b, k.depart)
	otp.OnCast(b, k.overdue)
	otp.OnCall(b, k.judge)
	otp.OnCall(b, k.slow)
	otp.OnCall(b, func(*otp.Ctx, *process, Settle) (none struct{}, err error) { return none, nil })
	otp.OnCall(b, func(_ *otp.Ctx, _ *process, c Crash) (struct{}, error) { panic(c.Reason) })
	return b
}

// kind is what the processes of rooms have in common.
type kind struct {
	log      *Log
	audience *Audience
}

// begin opens the room. If it has members already it was open before and has crashed, as they learn.
func (k *kind) begin(p *process) error {
	err := k.open(p)
	if err == nil {
		k.audience.Tell(notice(p.Name, "room "+p.Name+" crashed, and was started again", false))
	}
	return err
}

// open finds out where the room stands.
func (k *kind) open(p *process) (err error) {
	if p.room, err = k.log.Open(p.Name); err != nil {
		return err
	}
	return k.remember(p)
}

// remember finds out which ids were used of late, and who has spoken.
func (k *kind) remember(p *process) error {
	p.ids, p.spoke = newSeen(Window, Keep), newSeen(p.room.Pace, Keep)
	if p.room.Last < p.room.First {
		return nil
	}
	var recent []Entry
	err := k.log.Walk(p.Name, p.room.Last, p.room.First, func(e Entry) bool {
		e.Data = nil
		recent = append(recent, e)
		return now().Sub(e.At) <= max(Window, p.room.Pace)
	})
	for _, e := range slices.Backward(recent) {
		p.note(e)
	}
	return err
}

func (p *process) note(e Entry) {
	p.ids.add(idOf(e.Message), e.At, e.Offset)
	p.spoke.add(e.User, e.At, e.Offset)
}

// post writes a message, acknowledges it, and tells it to the members.
func (k *kind) post(_ *otp.Ctx, p *process, a Post, from otp.From[Posted]) error {
	m := a.message()
	if a.Passing {
		if err := k.maySpeak(p, m.User); err != nil {
			return err
		}
		from.Answer(Posted{Epoch: p.room.Epoch}, nil)
		k.audience.Tell(&Event{Room: p.Name, Kind: Said, Entry: Entry{Message: m}})
		return nil
	}
	if offset, _, ok := p.ids.find(idOf(m), m.At); ok {
		from.Answer(Posted{Offset: offset, Epoch: p.room.Epoch, Again: true}, nil)
		return nil
	}
	if err := k.mayPost(p, m); err != nil {
		return err
	}
	return k.say(p, m, m.Data, "", from)
}

// say keeps a message and tells it to the members, with the data that is for them. It may tell of a change of an author's message.
func (k *kind) say(p *process, m Message, told []byte, author string, from otp.From[Posted]) error {
	if err := k.log.Append(p.Name, &p.room, m); err != nil {
		return err
	}
	p.note(Entry{p.room.Last, m})
	from.Answer(Posted{Offset: p.room.Last, Epoch: p.room.Epoch, Author: author}, nil)
	m.Data = told
	k.audience.Tell(&Event{Room: p.Name, Kind: Said, Entry: Entry{p.room.Last, m}})
	return nil
}

// alter changes a message where it stands, and says so behind the last one: whoever was away learns of it like of any
// other message. What it says now is told to those who are here, and kept in its own place alone: deleted there it is gone.
func (k *kind) alter(_ *otp.Ctx, p *process, a Alter, from otp.From[Posted]) error {
	if err := k.mayAlter(p, a); err != nil {
		return err
	}
	before := 0
	changed, err := k.log.Change(p.Name, a.Offset, func(m *Message) error {
		before = m.size()
		switch {
		case m.User != a.User && !a.Any:
			return ErrNotYours
		case m.Deleted:
			return ErrDeleted
		case bool(claimsOf(m.Data).Type):
			return fmt.Errorf("message %d tells of a change of another: %w", a.Offset, ErrNoEntry)
		}
		m.Edited, m.Data = now(), a.Data
		if m.Deleted = a.Data == nil; m.Deleted {
			m.Data = []byte(`{}`)
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.room.Bytes += changed.size() - before
	told, kept := a.said(changed.User, a.Data), a.said(changed.User, nil)
	return k.say(p, Message{User: a.User, Data: kept, At: now()}, told, changed.User, from)
}

// said is what is said of the change of a user's message, with the new data or without.
func (a Alter) said(of string, data json.RawMessage) []byte {
	c := Change{Type: "delete", Offset: a.Offset, User: of, Data: data}
	if a.Data != nil {
		c.Type = "edit"
	}
	return encode(c)
}

// enter brings a member in between two messages. The others are not told of one that was away.
func (k *kind) enter(c *otp.Ctx, p *process, e Enter) (none struct{}, err error) {
	m := k.audience.member(e.Member)
	if m == nil {
		return none, ErrNoMember
	}
	if err := k.mayBe(p, m.Who().User); err != nil {
		return none, err
	}
	in := Entered{Room: p.Name, Call: e.Call, Epoch: p.room.Epoch, Offset: p.room.Last, Recovering: e.Recover, Away: p.travellers()}
	if e.Recover && e.Epoch == p.room.Epoch && e.Offset <= p.room.Last && e.Offset+1 >= p.room.First {
		in.Missed, in.Recovered, err = k.missed(p, e)
	}
	_, returns := p.Away[e.Member]
	if err == nil {
		err = k.letIn(m, in, e.Quiet || returns)
	}
	if err == nil && returns {
		p.back(c, e.Member)
	}
	return none, err
}

// letIn gives a member the answer, and then has it hear what happens.
func (k *kind) letIn(m Member, in Entered, quiet bool) error {
	s := m.Enter(in)
	if s == nil {
		return ErrNoMember
	}
	k.audience.Join(m, s)
	if !quiet {
		k.audience.Tell(&Event{Room: in.Room, Kind: Joined, Who: m.Who()})
	}
	return nil
}

// missed is all that a member has missed, or nothing if that is more than it may be given.
func (k *kind) missed(p *process, e Enter) (list []Entry, all bool, err error) {
	n := p.room.Last - e.Offset
	if n == 0 || n > MaxRecovered {
		return nil, n == 0, nil
	}
	list, err = k.log.Range(p.Name, e.Offset+1, p.room.Last, Limit{Bytes: e.Bytes})
	if err != nil || len(list) == 0 || list[len(list)-1].Offset < p.room.Last {
		return nil, false, err
	}
	return list, true, nil
}

// MaxRecovered is how many missed messages a member is given; one that missed more reads the history.
const MaxRecovered = 1000
