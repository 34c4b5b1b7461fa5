package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/theseusd/theseus/plugins/chat/internal/protocol"
	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
)

// patience is how long a verb waits for a room.
const patience = 5 * time.Second

func (c *chat) create(ctx context.Context, call *sdk.Call) error {
	name, err := aRoom(call)
	if err != nil {
		return err
	}
	ctx, done := shut(ctx)
	defer done()
	pid, err := c.rooms.Create(ctx, name)
	if err != nil {
		return err
	}
	return asked{call}.tell(map[string]string{"room": name, "pid": pid.String()}, "room %s: pid=%s", name, pid)
}

func (c *chat) remove(ctx context.Context, call *sdk.Call) error {
	name, err := aRoom(call)
	if err != nil {
		return err
	}
	ctx, done := shut(ctx)
	defer done()
	if err := c.rooms.Remove(ctx, name); err != nil {
		return fmt.Errorf("room %s: %w", name, err)
	}
	return asked{call}.tell(map[string]string{"removed": name}, "room %s removed", name)
}

// crash shows what a supervisor is for.
func (c *chat) crash(ctx context.Context, call *sdk.Call) error {
	name, err := aRoom(call)
	if err != nil {
		return err
	}
	ctx, done := shut(ctx)
	defer done()
	before, after, err := c.rooms.Crash(ctx, name)
	if down := new(room.DownError); errors.As(err, &down) {
		if before == 0 {
			return err
		}
		return fmt.Errorf("room %s crashed; its supervisor gave up: %w", name, down.Reason)
	}
	if err != nil {
		return fmt.Errorf("room %s: %w", name, err)
	}
	return asked{call}.tell(map[string]string{"room": name, "before": before.String(), "after": after.String()},
		"room %s crashed; supervisor restarted it", name)
}

func (c *chat) list(_ context.Context, call *sdk.Call) error {
	all, err := c.rooms.All()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		all = []room.Standing{} // so that JSON has a list
	}
	return asked{call}.tell(all, "%s", roomTable(all))
}

func roomTable(all []room.Standing) string {
	if len(all) == 0 {
		return "there is no room: chatctl create room NAME"
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ROOM\tPID\tMEMBERS\tMESSAGES\tLAST\tEPOCH")
	for _, r := range all {
		where := r.PID
		if r.Down != "" {
			where = "down"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\n", r.Name, where, r.Members, r.Last+1-r.First, r.Last, r.Epoch)
	}
	_ = w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

func (c *chat) who(_ context.Context, call *sdk.Call) error {
	name := call.Args[0]
	if !c.rooms.Has(name) {
		return fmt.Errorf("room %s: %w", name, room.ErrNoRoom)
	}
	here := c.rooms.Here(name)
	if len(here) == 0 {
		here = []room.Who{}
	}
	lines := []string{fmt.Sprintf("%d in %s", len(here), name)}
	for _, w := range here {
		lines = append(lines, fmt.Sprintf("%s (%s)", plain(w.User), w.Client))
	}
	return asked{call}.tell(here, "%s", strings.Join(lines, "\n"))
}

// counts are those of rooms and clients.
type counts struct {
	room.Stats
	Clients protocol.Stats `json:"clients"`
}

func (c *chat) stats(_ context.Context, call *sdk.Call) error {
	s := counts{c.rooms.Stats(), c.clients.Stats()}
	text := fmt.Sprintf("rooms=%d members=%d messages=%d crashes=%d", s.Rooms, s.Members, s.Messages, s.Crashes)
	if s.Clients.Slow > 0 {
		text += fmt.Sprintf(" slow=%d", s.Clients.Slow)
	}
	for _, code := range slices.Sorted(maps.Keys(s.Clients.Closed)) {
		text += fmt.Sprintf(" closed.%d=%d", code, s.Clients.Closed[code])
	}
	return asked{call}.tell(s, "%s", text)
}
