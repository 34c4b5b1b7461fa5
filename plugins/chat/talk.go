package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

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

func (l line) String() string {
	return fmt.Sprintf("[%s] %s: %s", l.Room, plain(l.User), plain(l.Text))
}

// plain is text that does nothing to a terminal, nor to the lines around it: what others have written may hold anything.
func plain(text string) string {
	if !strings.ContainsFunc(text, acts) && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && text[i] >= utf8.RuneSelf && !strings.HasPrefix(text[i:], string(r)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case acts(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// acts is true for what is no letter or sign but does something: it moves, clears, colours, breaks or turns lines.
func acts(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

func (c *chat) send(ctx context.Context, call *sdk.Call) error {
	a := asked{call}
	id, _ := a.Flag("id")
	l := line{Room: a.Args[0], User: a.user(), Text: a.Args[1]}
	ctx, done := shut(ctx)
	defer done()
	p, err := c.rooms.Post(ctx, l.Room, room.Post{User: l.User, ID: id, Data: room.Say(l.Text)})
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
	if err == nil {
		return nil
	}
	if down := new(room.DownError); errors.As(err, &down) {
		return err
	}
	return fmt.Errorf("room %s: %w", name, err)
}
