package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
)

// ruling is what was done to a user, as JSON.
type ruling struct {
	Room  string `json:"room"`
	User  string `json:"user"`
	Done  string `json:"done"`
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
	return a.tell(ruling{Room: name, User: user, Done: "kicked"}, "%s is kicked from %s", plain(user), name)
}

// done is what a sanction does to a user.
var done = map[string]string{room.Ban: "banned from", room.Mute: "muted in"}

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
		word, _, _ := strings.Cut(done[kind], " ")
		return a.tell(ruling{name, user, word, stamp(j.Until, "")}, "%s is %s %s%s", plain(user), done[kind], name, length)
	}
}

func (c *chat) lift(kind string) func(context.Context, *sdk.Call) error {
	return func(ctx context.Context, call *sdk.Call) error {
		a, name, user := asked{call}, call.Args[0], call.Args[1]
		ctx, end := shut(ctx)
		defer end()
		if err := c.rooms.Judge(ctx, name, room.Judge{Kind: kind, User: user, Lift: true}); err != nil {
			return failed(name, err)
		}
		return a.tell(ruling{Room: name, User: user, Done: "un" + kind}, "%s is no longer %s %s", plain(user), done[kind], name)
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
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tUSER\tUNTIL\tREASON")
	for _, r := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Kind, plain(r.User), stamp(r.Until, "lifted"), plain(r.Reason))
	}
	_ = w.Flush()
	return asked{call}.tell(list, "%s", strings.TrimSuffix(b.String(), "\n"))
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
	text := fmt.Sprintf("%s is in slow mode: a message every %s from each user", name, pace)
	if pace == 0 {
		text = name + " is in slow mode no more"
	}
	return a.tell(map[string]any{"room": name, "pace": pace.String()}, "%s", text)
}
