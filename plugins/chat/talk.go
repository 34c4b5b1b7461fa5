package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
)

// line is a message that was said or changed, as JSON.
type line struct {
	outcome
	Offset  uint64 `json:"offset"`
	Epoch   string `json:"epoch"`
	Message uint64 `json:"message,omitempty"` // the one that was changed: it is told of at Offset
	User    string `json:"user"`
	By      string `json:"by,omitempty"` // who has changed it
	Text    string `json:"text,omitempty"`
	Again   bool   `json:"again,omitempty"`
}

// said is a message as a person sees it. What tells of a change is shown as a word of the one whose message was changed.
func said(name string, e room.Entry) string {
	if c, changes := e.Change(); changes {
		return speech(name, cmp.Or(c.User, e.User), changed(e.User, c))
	}
	text := e.Text()
	if !e.Edited.IsZero() && !e.Deleted {
		text += " (edited)"
	}
	return speech(name, e.User, text)
}

// speech is a text and whose it is; the room's own if nobody's.
func speech(name, user, text string) string {
	if user == "" {
		return fmt.Sprintf("[%s] %s", name, plain(text))
	}
	return fmt.Sprintf("[%s] %s: %s", name, plain(user), plain(text))
}

// changed is what a message says now, if that is told, and what was done to it by whom.
func changed(by string, c room.Change) string {
	text := fmt.Sprintf("(message %d %s", c.Offset, map[bool]string{true: "edited", false: "deleted"}[c.Type == "edit"])
	if by != c.User {
		text += " by " + by
	}
	if c.Data == nil {
		return text + ")"
	}
	return room.Message{Data: c.Data}.Text() + " " + text + ")"
}

// plain is text that does nothing to a terminal, nor to the lines around it: what others have written may hold anything.
func plain(text string) string {
	if !strings.ContainsFunc(text, room.Acts) && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && text[i] >= utf8.RuneSelf && !strings.HasPrefix(text[i:], string(r)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case room.Acts(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// inJSON is v as a line of JSON that does nothing to a terminal either: what would is \u and its number there, which is the same JSON.
func inJSON(v any) (string, error) {
	var line strings.Builder
	out := json.NewEncoder(&line)
	out.SetEscapeHTML(false)
	err := out.Encode(v)
	text := strings.TrimSuffix(line.String(), "\n")
	if err != nil || !strings.ContainsFunc(text, room.Acts) {
		return text, err
	}
	var b strings.Builder
	for _, r := range text {
		if room.Acts(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String(), nil
}

func (c *chat) send(ctx context.Context, call *sdk.Call) error {
	a, name, text := asked{call}, call.Args[0], call.Args[1]
	id, _ := a.Flag("id")
	ctx, done := shut(ctx)
	defer done()
	p, err := c.rooms.Post(ctx, name, room.Post{User: a.user(), ID: id, Data: room.Say(text)})
	if err != nil {
		return failed(name, err)
	}
	l := line{outcome: outcome{name, "sent"}, Offset: p.Offset, Epoch: p.Epoch, User: a.user(), Again: p.Again}
	if p.Again { // with another text perhaps
		return a.tell(l, "%s", speech(name, "", fmt.Sprintf("this was sent before, as message %d", p.Offset)))
	}
	l.Text = text
	return a.tell(l, "%s", speech(name, l.User, text))
}

func (c *chat) edit(ctx context.Context, call *sdk.Call) error {
	return c.alter(ctx, call, "edited", room.Change{Type: "edit", Data: room.Say(call.Args[2])})
}

func (c *chat) delete(ctx context.Context, call *sdk.Call) error {
	return c.alter(ctx, call, "deleted", room.Change{Type: "delete"})
}

// alter is what an operator may do to any message; said for somebody else it is theirs alone.
func (c *chat) alter(ctx context.Context, call *sdk.Call, word string, ch room.Change) (err error) {
	a, name := asked{call}, call.Args[0]
	if ch.Offset, err = offset(a.Args[1]); err != nil {
		return err
	}
	ctx, done := shut(ctx)
	defer done()
	p, err := c.rooms.Alter(ctx, name, room.Alter{Offset: ch.Offset, Data: ch.Data, User: a.user(), Any: !a.Given("as")})
	if err != nil {
		return failed(name, err)
	}
	ch.User = p.Author
	l := line{outcome: outcome{name, word}, Offset: p.Offset, Epoch: p.Epoch, Message: ch.Offset, User: ch.User, By: a.user()}
	if ch.Data != nil {
		l.Text = a.Args[2]
	}
	return a.tell(l, "%s", speech(name, ch.User, changed(l.By, ch)))
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
