package main

import (
	"context"
	"strconv"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
)

// defaultUser is who a person at a terminal is, unless --as says so.
const defaultUser = "user42"

var (
	jsonFlag  = sdk.Flag{Name: "json", Short: "print it as JSON"}
	asFlag    = sdk.Flag{Name: "as", Arg: "USER", Short: "who says so; " + defaultUser + " if it is not there"}
	lastFlag  = sdk.Flag{Name: "last", Arg: "N", Short: "only so many of the newest; 100 if it is not there"}
	sinceFlag = sdk.Flag{Name: "since", Arg: "OFFSET|DURATION", Short: "only those after a message, 120, or of the last time, 10m"}
	idFlag    = sdk.Flag{Name: "id", Arg: "ID", Short: "of the message: sent again within five minutes it is not said twice"}
	onFlag    = sdk.Flag{Name: "on", Arg: "CLIENT/EPOCH/OFFSET", Short: "go on where another version has stopped; chatctl does this by itself"}
	forFlag   = sdk.Flag{Name: "for", Arg: "DURATION", Short: "and no longer, such as 10m; until it is lifted if it is not there"}
	whyFlag   = sdk.Flag{Name: "reason", Arg: "TEXT", Short: "what bans shows"}
	toFlag    = sdk.Flag{Name: "to", Arg: "FILE", Short: "write it there", Writes: true}
)

func (c *chat) verbs() []sdk.Verb {
	plain := []sdk.Flag{jsonFlag}
	said := []sdk.Flag{asFlag, jsonFlag}
	rule := []sdk.Flag{forFlag, whyFlag, jsonFlag}
	return []sdk.Verb{
		{Name: "create", Args: "room NAME", Short: "Create a room, or start one again that is down", Flags: plain, Do: c.create},
		{Name: "remove", Args: "room NAME", Short: "End a room and forget its history", Flags: plain, Do: c.remove},
		{Name: "crash", Args: "room NAME", Short: "Crash the process of a room on purpose", Flags: plain, Do: c.crash},
		{Name: "rooms", Short: "List the rooms", Flags: plain, Do: c.list},
		{Name: "send", Args: "ROOM TEXT", Short: "Say something in a room", Flags: append(said, idFlag), Do: c.send},
		{Name: "edit", Args: "ROOM OFFSET TEXT", Short: "Change what a message says", Flags: said, Do: c.edit},
		{Name: "delete", Args: "ROOM OFFSET", Short: "Delete a message; its place stays", Flags: said, Do: c.delete},
		{Name: "join", Args: "ROOM", Short: "Be in a room, and print what is said there", Flags: append(said, lastFlag, onFlag), Do: c.join},
		{Name: "who", Args: "ROOM", Short: "List who is in a room", Flags: plain, Do: c.who},
		{
			Name: "history", Args: "ROOM", Short: "Print the messages of a room, the newest last", Do: c.history,
			Flags: append(plain, sinceFlag, lastFlag),
		},
		{Name: "kick", Args: "ROOM USER", Short: "Have a user leave a room", Flags: plain, Do: c.kick},
		{Name: "ban", Args: "ROOM USER", Short: "Have a user leave a room and keep out of it", Flags: rule, Do: c.sanction(room.Ban)},
		{Name: "unban", Args: "ROOM USER", Short: "Let a user in again", Flags: plain, Do: c.lift(room.Ban)},
		{Name: "mute", Args: "ROOM USER", Short: "Let a user say nothing in a room", Flags: rule, Do: c.sanction(room.Mute)},
		{Name: "unmute", Args: "ROOM USER", Short: "Let a user speak again", Flags: plain, Do: c.lift(room.Mute)},
		{Name: "bans", Args: "ROOM", Short: "List who is banned or muted in a room", Flags: plain, Do: c.sanctions},
		{Name: "slow", Args: "ROOM DURATION", Short: "Let each user say one thing in that time; 0 ends it", Flags: plain, Do: c.slow},
		{Name: "export", Args: "ROOM", Short: "Print or write all messages of a room, a line of JSON each", Flags: []sdk.Flag{toFlag}, Do: c.export},
		c.benchVerb(),
		{Name: "stats", Short: "Count rooms, members and crashes", Flags: plain, Do: c.stats},
	}
}

// asked is one call of a verb.
type asked struct{ *sdk.Call }

// user is who asks.
func (a asked) user() string {
	if name, given := a.Flag("as"); given {
		return name
	}
	return defaultUser
}

// tell prints v as JSON if that is wanted, or a text.
func (a asked) tell(v any, format string, args ...any) error {
	if a.Given("json") {
		return a.JSON(v)
	}
	a.Printf(format+"\n", args...)
	return nil
}

// offset is a word that numbers a message.
func offset(word string) (uint64, error) {
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil || n == 0 {
		return 0, sdk.Usagef("%s is no number of a message: chatctl history shows them", word)
	}
	return n, nil
}

// aRoom refuses what is not of the form `room NAME`.
func aRoom(c *sdk.Call) (string, error) {
	if c.Args[0] != "room" {
		return "", sdk.Usagef("%q: want room NAME", c.Args[0])
	}
	return c.Args[1], nil
}

// shut bounds what a verb waits for.
func shut(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience)
}
