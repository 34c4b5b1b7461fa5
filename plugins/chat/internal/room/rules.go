package room

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/sdk/otp"
	"github.com/theseusd/theseus/sdk/state"
)

// Sanction is what a user may not do in a room: a row that is gone when its time is over.
type Sanction struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // zero: until it is lifted
	Reason string    `json:"reason,omitempty"`
}

// SanctionSchema of the table of sanctions.
var SanctionSchema = state.Schema[Sanction]{Name: "sanction", Version: 1}

// Kinds of sanctions.
const (
	Ban  = "ban"  // not to be in the room, nor to speak
	Mute = "mute" // not to speak
)

// ErrFree says that there is nothing to lift.
var ErrFree = errors.New("there is no such ban or mute")

// SanctionError says who may not, and until when.
type SanctionError struct {
	Kind, User string
	Until      time.Time // zero: until it is lifted
}

func (e *SanctionError) Error() string {
	text := e.User + " is " + map[string]string{Ban: "banned", Mute: "muted"}[e.Kind]
	if !e.Until.IsZero() {
		text += " until " + e.Until.UTC().Format(time.RFC3339)
	}
	return text
}

// PaceError says when a user may speak again in a room that is in slow mode.
type PaceError struct{ Wait time.Duration }

func (e *PaceError) Error() string {
	return fmt.Sprintf("slow mode: wait %s", (e.Wait + time.Second - 1).Truncate(time.Second))
}

// Judge puts a sanction on a user, or lifts it; who is banned leaves the room.
type Judge struct {
	otp.Reply[struct{}]
	Kind, User string
	Until      time.Time // zero: until it is lifted
	Reason     string
	Lift       bool
}

// Slow sets how long each user waits between two messages; 0 ends that.
type Slow struct {
	otp.Reply[struct{}]
	Pace time.Duration
}

// judge is a matter of the room's process, so that nobody comes in between the sanction and what follows from it.
func (k *kind) judge(_ *otp.Ctx, p *process, j Judge) (none struct{}, err error) {
	if j.Lift {
		there, err := k.log.sanctions.Delete(ruleKey(j.Kind, p.Name, j.User))
		if err == nil && !there {
			err = ErrFree
		}
		return none, err
	}
	s := Sanction{Since: now().UTC().Truncate(time.Second), Until: j.Until, Reason: j.Reason}
	err = k.log.sanctions.PutUntil(ruleKey(j.Kind, p.Name, j.User), s, s.Until)
	if err == nil && j.Kind == Ban {
		k.audience.Expel(p.Name, j.User, Banned)
	}
	return none, err
}

func (k *kind) slow(_ *otp.Ctx, p *process, s Slow) (none struct{}, err error) {
	_, err = k.log.rooms.Update(p.Name, func(r Room, ok bool) (Room, error) {
		if !ok {
			return r, ErrNoRoom
		}
		r.Pace = s.Pace
		return r, nil
	})
	if err == nil {
		p.room.Pace = s.Pace
		err = k.remember(p)
	}
	return none, err
}

// mayBe refuses users who are banned.
func (k *kind) mayBe(p *process, user string) error {
	return k.log.under(Ban, p.Name, user)
}

// maySpeak refuses users who are banned or muted.
func (k *kind) maySpeak(p *process, user string) error {
	if err := k.log.under(Mute, p.Name, user); err != nil {
		return err
	}
	return k.mayBe(p, user)
}

// mayPost is maySpeak in the pace of the room.
func (k *kind) mayPost(p *process, m Message) error {
	if err := k.maySpeak(p, m.User); err != nil {
		return err
	}
	if _, at, ok := p.spoke.find(m.User, m.At); ok {
		return &PaceError{p.room.Pace - m.At.Sub(at)}
	}
	return nil
}

// mayAlter is mayPost for what an edit says, and maySpeak for a deletion; a moderator always may.
func (k *kind) mayAlter(p *process, a Alter) error {
	switch {
	case a.Any:
		return nil
	case a.Data == nil:
		return k.maySpeak(p, a.User)
	}
	return k.mayPost(p, Message{User: a.User, At: now()})
}

// ruleKey of a sanction. No room has a slash in its name.
func ruleKey(kind, room, user string) string { return kind + "/" + room + "/" + user }

// under is a *SanctionError if there is such a sanction.
func (l *Log) under(kind, room, user string) error {
	until, is := l.sanctions.Expiry(ruleKey(kind, room, user))
	if !is {
		return nil
	}
	return &SanctionError{kind, user, until}
}

// Ruled is a sanction with whom it is on.
type Ruled struct {
	Kind string `json:"kind"`
	User string `json:"user"`
	Sanction
}

// Sanctions lists those of a room, by kind and user.
func (l *Log) Sanctions(room string) (list []Ruled, err error) {
	err = l.sanctions.Range(func(key string, s Sanction) bool {
		if part := strings.SplitN(key, "/", 3); len(part) == 3 && part[1] == room {
			list = append(list, Ruled{part[0], part[2], s})
		}
		return true
	})
	slices.SortFunc(list, func(a, b Ruled) int { return strings.Compare(a.Kind+"\x00"+a.User, b.Kind+"\x00"+b.User) })
	return list, err
}

// pardon lifts all sanctions of a room.
func (l *Log) pardon(room string) error {
	list, err := l.Sanctions(room)
	for _, s := range list {
		if _, failed := l.sanctions.Delete(ruleKey(s.Kind, room, s.User)); failed != nil {
			return failed
		}
	}
	return err
}
