package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
)

// line is a message as a person and a program see it.
type line struct {
	Room   string `json:"room"`
	Offset uint64 `json:"offset"`
	Epoch  string `json:"epoch,omitempty"`
	User   string `json:"user"`
	Text   string `json:"text"`
	Again  bool   `json:"again,omitempty"`
}

func (l line) String() string { return fmt.Sprintf("[%s] %s: %s", l.Room, l.User, l.Text) }

func (c *chat) send(ctx context.Context, call *sdk.Call) error {
	a := asked{call}
	id, _ := a.Flag("id")
	l := line{Room: a.Args[0], User: a.user(), Text: a.Args[1]}
	ctx, done := shut(ctx)
	defer done()
	p, err := c.rooms.Post(ctx, l.Room, room.Post{Message: room.Message{User: l.User, ID: id, Data: room.Say(l.Text)}})
	return told(a, l, p, err)
}

func (c *chat) edit(ctx context.Context, call *sdk.Call) error {
	return c.alter(ctx, call, room.Say(call.Args[2]))
}

func (c *chat) delete(ctx context.Context, call *sdk.Call) error { return c.alter(ctx, call, nil) }

// alter is what an operator may do to any message; said for somebody else it is theirs alone.
func (c *chat) alter(ctx context.Context, call *sdk.Call, data []byte) error {
	a := asked{call}
	at, err := offset(a.Args[1])
	if err != nil {
		return err
	}
	_, as := a.Flag("as")
	ctx, done := shut(ctx)
	defer done()
	p, err := c.rooms.Alter(ctx, a.Args[0], room.Alter{Offset: at, Data: data, User: a.user(), Any: !as})
	text := fmt.Sprintf("message %d is deleted", at)
	if data != nil {
		text = a.Args[2]
	}
	return told(a, line{Room: a.Args[0], User: a.user(), Text: text}, p, err)
}

// told prints what became of a message.
func told(a asked, l line, p room.Posted, err error) error {
	if err != nil {
		return failed(l.Room, err)
	}
	l.Offset, l.Epoch, l.Again = p.Offset, p.Epoch, p.Again
	return a.tell(l, "%s", l)
}

// failed says which room it was.
func failed(name string, err error) error {
	if down := new(room.DownError); errors.As(err, &down) {
		return err
	}
	return fmt.Errorf("room %s: %w", name, err)
}
