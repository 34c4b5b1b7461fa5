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

// placed is what became of a room's process, as JSON.
type placed struct {
	outcome
	PID    string `json:"pid,omitempty"`
	Before string `json:"before,omitempty"` // the pid that it had
}

func (c *chat) create(ctx context.Context, call *sdk.Call) error {
	name, word := call.Args[1], "created"
	if strings.HasPrefix(name, benchRoom) {
		return fmt.Errorf("room %s: %w", name, errBenchRoom)
	}
	if c.rooms.Has(name) {
		word = "started"
	}
	ctx, done := shut(ctx)
	defer done()
	pid, err := c.rooms.Create(ctx, name)
	if err != nil {
		return err
	}
	return asked{call}.tell(placed{outcome: outcome{name, word}, PID: pid.String()}, "room %s: pid=%s", name, pid)
}

func (c *chat) remove(ctx context.Context, call *sdk.Call) error {
	name := call.Args[1]
	ctx, done := shut(ctx)
	defer done()
	if err := c.rooms.Remove(ctx, name); err != nil {
		return failed(name, err)
	}
	return asked{call}.tell(outcome{name, "removed"}, "room %s removed", name)
}

// crash shows what a supervisor is for.
func (c *chat) crash(ctx context.Context, call *sdk.Call) error {
	name := call.Args[1]
	ctx, done := shut(ctx)
	defer done()
	before, after, err := c.rooms.Crash(ctx, name)
	if down := new(room.DownError); errors.As(err, &down) && before != 0 {
		return fmt.Errorf("room %s crashed; its supervisor gave up: %w\n%s", name, down.Reason, down.Cure())
	}
	if err != nil {
		return failed(name, err)
	}
	return asked{call}.tell(placed{outcome{name, "crashed"}, after.String(), before.String()}, "room %s crashed; supervisor restarted it", name)
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

// roomTable shows rooms and, below, why some are down.
func roomTable(all []room.Standing) string {
	if len(all) == 0 {
		return "there is no room: chatctl create room NAME"
	}
	rows, down := []string{"ROOM\tPID\tMEMBERS\tMESSAGES\tLAST\tEPOCH"}, ""
	for _, r := range all {
		where := r.PID
		if r.Down != "" {
			where = "down"
			down += fmt.Sprintf("\n%v", &room.DownError{Room: r.Name, Reason: errors.New(r.Down)})
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%d\t%d\t%d\t%s", r.Name, where, r.Members, r.Last+1-r.First, r.Last, r.Epoch))
	}
	return table(rows) + down
}

// table puts the cells of rows, which end with tabs, below each other.
func table(rows []string) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(rows, "\n"))
	_ = w.Flush()
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

func (c *chat) who(_ context.Context, call *sdk.Call) error {
	name := call.Args[0]
	if !c.rooms.Has(name) {
		return failed(name, room.ErrNoRoom)
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
