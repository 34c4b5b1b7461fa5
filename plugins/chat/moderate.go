package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/clock"
)

// ruling is what was done to a user, as JSON.
type ruling struct {
	outcome
	User  string `json:"user"`
	Until string `json:"until,omitempty"`
}

func (c *chat) kick(_ context.Context, call *sdk.Call) error {
	a, name, user := asked{call}, call.Args[0], call.Args[1]
	if !c.rooms.Has(name) {
		return failed(name, room.ErrNoRoom)
	}
	if c.rooms.Expel(name, user, room.Kicked) == 0 {
		return failed(name, errors.New(plain(user)+" is not here"))
	}
	return a.tell(ruling{outcome: outcome{name, "kicked"}, User: user}, "%s is kicked from %s", plain(user), name)
}

// done is what a sanction does to a user, and where.
var done = map[string]struct{ word, where string }{room.Ban: {"banned", "from"}, room.Mute: {"muted", "in"}}

func (c *chat) sanction(kind string) func(context.Context, *sdk.Call) error {
	return func(ctx context.Context, call *sdk.Call) error {
		a, name, user := asked{call}, call.Args[0], call.Args[1]
		j := room.Judge{Kind: kind, User: user}
		length, limited := a.Flag("for")
		if limited {
			d, err := time.ParseDuration(length)
			if err != nil || d < time.Second {
				return sdk.Usagef("--for %s: want a duration of at least 1s, such as 10m", length)
			}
			j.Until, length = time.Now().UTC().Truncate(time.Second).Add(d), " for "+d.String()
		}
		j.Reason, _ = a.Flag("reason")
		ctx, end := shut(ctx)
		defer end()
		if err := c.rooms.Judge(ctx, name, j); err != nil {
			return failed(name, err)
		}
		is := done[kind]
		return a.tell(ruling{outcome{name, is.word}, user, stamp(j.Until, "")}, "%s is %s %s %s%s", plain(user), is.word, is.where, name, length)
	}
}

func (c *chat) lift(kind string) func(context.Context, *sdk.Call) error {
	return func(ctx context.Context, call *sdk.Call) error {
		a, name, user := asked{call}, call.Args[0], call.Args[1]
		ctx, end := shut(ctx)
		defer end()
		was := done[kind]
		err := c.rooms.Judge(ctx, name, room.Judge{Kind: kind, User: user, Lift: true})
		if errors.Is(err, room.ErrFree) {
			err = fmt.Errorf("%s is not %s", plain(user), was.word)
		}
		if err != nil {
			return failed(name, err)
		}
		return a.tell(ruling{outcome: outcome{name, "un" + was.word}, User: user}, "%s is no longer %s %s %s", plain(user), was.word, was.where, name)
	}
}

func (c *chat) sanctions(_ context.Context, call *sdk.Call) error {
	name := call.Args[0]
	if !c.rooms.Has(name) {
		return failed(name, room.ErrNoRoom)
	}
	list, err := c.rooms.Sanctions(name)
	if err != nil {
		return failed(name, err)
	}
	if len(list) == 0 {
		return asked{call}.tell([]room.Ruled{}, "nobody is banned or muted in %s", name)
	}
	rows := []string{"KIND\tUSER\tUNTIL\tREASON"}
	for _, r := range list {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s", r.Kind, plain(r.User), stamp(r.Until, "no end"), plain(r.Reason)))
	}
	return asked{call}.tell(list, "%s", table(rows))
}

// stamp is a time; otherwise if there is none.
func stamp(t time.Time, otherwise string) string {
	if t.IsZero() {
		return otherwise
	}
	return t.Format(time.RFC3339)
}

// longest is the longest pace of a room.
const longest = 6 * time.Hour

// paced is the pace of a room, as JSON.
type paced struct {
	outcome
	Pace clock.Duration `json:"pace"`
}

func (c *chat) slow(ctx context.Context, call *sdk.Call) error {
	a, name := asked{call}, call.Args[0]
	pace, err := time.ParseDuration(call.Args[1])
	if err != nil || pace < 0 || pace > longest || pace > 0 && pace < time.Second {
		return sdk.Usagef("%s: want 0, or a duration from 1s to 6h, such as 10s", call.Args[1])
	}
	ctx, end := shut(ctx)
	defer end()
	if err := c.rooms.Slow(ctx, name, pace); err != nil {
		return failed(name, err)
	}
	word, text := "slowed", fmt.Sprintf("%s is in slow mode: a message every %s from each user", name, pace)
	if pace == 0 {
		word, text = "unslowed", name+" is in slow mode no more"
	}
	return a.tell(paced{outcome{name, word}, clock.Duration(pace)}, "%s", text)
}
