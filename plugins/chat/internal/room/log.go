package room

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/theseusd/theseus/sdk/state"
)

// Keep is how many messages of a room are kept at least, unless they are more than KeepBytes.
const (
	Keep      = 10_000
	KeepBytes = 32 << 20
)

// step is how many messages come between two notes of where a history begins and ends.
const step = 64

// Errors of rooms.
var (
	ErrNoRoom  = errors.New("there is no such room")
	ErrExists  = errors.New("the room is there already")
	ErrNoEntry = errors.New("there is no such message")
)

// Log is the history of all rooms.
type Log struct {
	rooms     *state.Table[Room]
	messages  *state.Table[Message]
	sanctions *state.Table[Sanction]
	keep      uint64
	bytes     int
}

// NewLog keeps the rooms in the service's state log.
func NewLog(r state.Registrar) *Log {
	return &Log{
		rooms:     state.NewTable(r, "rooms", Schema),
		messages:  state.NewTable(r, "messages", MessageSchema),
		sanctions: state.NewTable(r, "sanctions", SanctionSchema),
		keep:      Keep,
		bytes:     KeepBytes,
	}
}

// Create makes a room.
func (l *Log) Create(room string) error {
	if err := CheckName(room); err != nil {
		return err
	}
	_, err := l.rooms.Update(room, func(r Room, ok bool) (Room, error) {
		if ok {
			return r, ErrExists
		}
		return Room{Epoch: rand.Text()[:8], Created: now(), First: 1}, nil
	})
	return err
}

// now is the time as it is kept.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// Names lists the rooms.
func (l *Log) Names() ([]string, error) {
	return l.list(func(r Room) bool { return !r.Removed })
}

func (l *Log) list(want func(Room) bool) (names []string, err error) {
	err = l.rooms.Range(func(name string, r Room) bool {
		if want(r) {
			names = append(names, name)
		}
		return true
	})
	slices.Sort(names)
	return names, err
}

// Has is true if there is such a room.
func (l *Log) Has(room string) bool { r, ok := l.rooms.Get(room); return ok && !r.Removed }

// Find is a room as it stands.
func (l *Log) Find(room string) (Room, error) {
	r, ok, err := l.rooms.Lookup(room)
	switch {
	case err != nil:
		return r, err
	case !ok || r.Removed:
		return r, ErrNoRoom
	}
	r.Last = l.end(room, r)
	return r, nil
}

// Open is Find for whoever is to write in the room.
func (l *Log) Open(room string) (Room, error) {
	noted, _, err := l.rooms.Lookup(room)
	if err != nil {
		return noted, err
	}
	r, err := l.Find(room)
	if err != nil || r.Last == noted.Last {
		return r, err
	}
	err = l.Walk(room, noted.Last+1, r.Last, func(e Entry) bool {
		r.Bytes += e.size()
		return true
	})
	return r, err
}

// end is the last message of a room: it is found behind the one that was noted.
func (l *Log) end(room string, r Room) uint64 {
	for last := r.Last; ; last++ {
		if _, there := l.messages.Expiry(key(room, last+1)); !there {
			return last
		}
	}
}

// key of a message. No room has a slash in its name.
func key(room string, offset uint64) string { return fmt.Sprintf("%s/%016x", room, offset) }

// Append writes the message behind the last one of r.
func (l *Log) Append(room string, r *Room, m Message) error {
	if err := l.messages.Put(key(room, r.Last+1), m); err != nil {
		return err
	}
	r.Bytes += m.size()
	if r.Last++; r.Last%step == 0 {
		_ = l.trim(room, r) // the message is kept all the same, and it is tried again
	}
	return nil
}

// trim deletes the oldest messages and notes what is left.
func (l *Log) trim(room string, r *Room) error {
	for ; r.Last-r.First >= l.keep+step || r.Bytes > l.bytes && r.First < r.Last; r.First++ {
		oldest, _, err := l.messages.Lookup(key(room, r.First))
		if err == nil {
			_, err = l.messages.Delete(key(room, r.First))
		}
		if err != nil {
			return err
		}
		r.Bytes = max(r.Bytes-oldest.size(), 0)
	}
	_, err := l.rooms.Update(room, func(old Room, ok bool) (Room, error) {
		if !ok {
			return old, ErrNoRoom
		}
		old.First, old.Last, old.Bytes = r.First, r.Last, r.Bytes
		return old, nil
	})
	return err
}

// Entry is a message at its place.
type Entry struct {
	Offset uint64 `json:"offset"`
	Message
}

// Walk reads messages from one offset to another, both included and whichever comes first, until f has enough.
func (l *Log) Walk(room string, from, to uint64, f func(Entry) bool) error {
	for at := from; ; {
		m, ok, err := l.messages.Lookup(key(room, at))
		if err != nil {
			return err
		}
		if ok && !f(Entry{at, m}) {
			return nil
		}
		switch {
		case at < to:
			at++
		case at > to:
			at--
		default:
			return nil
		}
	}
}

// Limit bounds a list of messages, which has one at least. Zeros are no bounds.
type Limit struct{ Count, Bytes int }

// Range reads messages as Walk does.
func (l *Log) Range(room string, from, to uint64, most Limit) (list []Entry, err error) {
	size := 0
	err = l.Walk(room, from, to, func(e Entry) bool {
		if size += e.size(); most.Bytes > 0 && size > most.Bytes && len(list) > 0 {
			return false
		}
		list = append(list, e)
		return len(list) != most.Count
	})
	return list, err
}

// Since are the messages after an offset, the newest count of them; all if that is 0.
func (l *Log) Since(room string, r Room, offset uint64, count int) ([]Entry, error) {
	from := max(offset+1, r.First)
	if count > 0 && r.Last >= uint64(count) {
		from = max(from, r.Last-uint64(count)+1)
	}
	if from > r.Last {
		return nil, nil
	}
	return l.Range(room, from, r.Last, Limit{})
}

// Change rewrites a message where it stands.
func (l *Log) Change(room string, offset uint64, f func(m *Message) error) (Message, error) {
	return l.messages.Update(key(room, offset), func(m Message, ok bool) (Message, error) {
		if !ok {
			return m, fmt.Errorf("message %d: %w", offset, ErrNoEntry)
		}
		return m, f(&m)
	})
}

// Hide makes a room one that nobody finds any more, whatever happens next. Sweep does the rest.
func (l *Log) Hide(room string) error {
	_, err := l.rooms.Update(room, func(r Room, ok bool) (Room, error) {
		if !ok || r.Removed {
			return r, ErrNoRoom
		}
		r.Removed = true
		return r, nil
	})
	return err
}

func (l *Log) hides(room string) bool { r, ok := l.rooms.Get(room); return ok && r.Removed }

// Hidden lists the rooms that are not swept yet.
func (l *Log) Hidden() ([]string, error) { return l.list(func(r Room) bool { return r.Removed }) }

// Sweep forgets a hidden room with all its messages and sanctions; nobody may be writing any. One that was cut off goes on where it was:
// the row goes last, and where the messages end is noted before the first of them goes.
func (l *Log) Sweep(room string) error {
	r, ok, err := l.rooms.Lookup(room)
	if err != nil || !ok || !r.Removed {
		return err
	}
	r.Last = l.end(room, r)
	if err := l.rooms.Put(room, r); err != nil {
		return err
	}
	for at := r.First; at <= r.Last; at++ {
		if _, err := l.messages.Delete(key(room, at)); err != nil {
			return err
		}
	}
	if err := l.pardon(room); err != nil {
		return err
	}
	_, err = l.rooms.Delete(room)
	return err
}
