package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
)

// shown is how many messages are shown unless somebody says so.
const shown = 100

func (c *chat) history(_ context.Context, call *sdk.Call) error {
	a := asked{call}
	name := a.Args[0]
	last, err := a.number("last", shown)
	if err != nil {
		return err
	}
	after, from, err := a.since()
	if err != nil {
		return err
	}
	r, err := c.rooms.Find(name)
	if err != nil {
		return failed(name, err)
	}
	list, err := c.rooms.Since(name, r, after, last)
	if err != nil {
		return failed(name, err)
	}
	for len(list) > 0 && list[0].At.Before(from) {
		list = list[1:]
	}
	return a.tell(history{name, r.Epoch, r.Last, readable(list)}, "%s", lines(name, r, list))
}

// history as JSON.
type history struct {
	Room     string  `json:"room"`
	Epoch    string  `json:"epoch"`
	Last     uint64  `json:"last"`
	Messages []entry `json:"messages"`
}

// entry is a message whose data is JSON in JSON.
type entry struct {
	room.Entry
	Data json.RawMessage `json:"data"`
}

func readable(list []room.Entry) []entry {
	all := make([]entry, 0, len(list))
	for _, e := range list {
		all = append(all, entry{e, e.Data})
	}
	return all
}

// lines shows each message with its number, so that it can be named.
func lines(name string, r room.Room, list []room.Entry) string {
	switch {
	case r.Last < r.First:
		return "no messages in " + name
	case len(list) == 0:
		return fmt.Sprintf("no such messages in %s: the last is %d", name, r.Last)
	}
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "%d %s\n", e.Offset, said(name, e))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// number is the value of a flag from 1 up.
func (a asked) number(name string, otherwise int) (int, error) {
	word, given := a.Flag(name)
	if !given {
		return otherwise, nil
	}
	n, err := strconv.Atoi(word)
	if err != nil || n < 1 {
		return 0, sdk.Usagef("--%s %s: want a whole number from 1", name, word)
	}
	return n, nil
}

// since is the flag of that name: an offset, or a time.
func (a asked) since() (after uint64, from time.Time, err error) {
	word, given := a.Flag("since")
	if !given {
		return 0, from, nil
	}
	if after, err = strconv.ParseUint(word, 10, 64); err == nil {
		return after, from, nil
	}
	d, err := time.ParseDuration(word)
	if err != nil || d <= 0 {
		return 0, from, sdk.Usagef("--since %s: want the number of a message, such as 120, or a duration, such as 10m", word)
	}
	return 0, time.Now().Add(-d), nil
}

// messages is so many of them.
func messages(n int) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// export is everything, in a form that programs read line by line.
func (c *chat) export(_ context.Context, call *sdk.Call) error {
	name := call.Args[0]
	r, err := c.rooms.Find(name)
	if err != nil {
		return failed(name, err)
	}
	list, err := c.rooms.Since(name, r, 0, 0)
	if err != nil {
		return failed(name, err)
	}
	var b bytes.Buffer
	for _, e := range readable(list) {
		line, err := inJSON(e)
		if err != nil {
			return err
		}
		b.WriteString(line + "\n")
	}
	to, given := call.Flag("to")
	if !given {
		call.Printf("%s", b.String())
		return nil
	}
	if err := call.Write("to", b.Bytes()); err != nil {
		return err
	}
	call.Note("%s written to %s", messages(len(list)), to)
	return nil
}
