package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
)

// defaultUser is who a person at a terminal is, unless --as says so.
const defaultUser = "user42"

var (
	jsonFlag  = sdk.Flag{Name: "json", Short: "print it as JSON"}
	asFlag    = sdk.Flag{Name: "as", Arg: "USER", Short: "who says so; " + defaultUser + " if it is not there"}
	ownFlag   = sdk.Flag{Name: "as", Arg: "USER", Short: "whose message it has to be; without it any, changed by " + defaultUser}
	recent    = sdk.Flag{Name: "last", Arg: "N", Short: "begin with so many of the newest; 10 if it is not there"}
	lastFlag  = sdk.Flag{Name: "last", Arg: "N", Short: "only so many of the newest; 100 if it is not there"}
	sinceFlag = sdk.Flag{Name: "since", Arg: "OFFSET|DURATION", Short: "only those after a message, 120, or of the last time, 10m"}
	idFlag    = sdk.Flag{Name: "id", Arg: "ID", Short: "of the message: sent again within five minutes it is not said twice"}
	onFlag    = sdk.Flag{Name: "on", Arg: "CLIENT/EPOCH/OFFSET", Short: "go on where another version or process has stopped; chatctl does this by itself"}
	wasFlag   = sdk.Flag{Name: "was", Arg: "JSON", Short: "who was here then; chatctl says so by itself"}
	forFlag   = sdk.Flag{Name: "for", Arg: "DURATION", Short: "how long, such as 10m; without an end if it is not there"}
	whyFlag   = sdk.Flag{Name: "reason", Arg: "TEXT", Short: "what bans shows"}
	toFlag    = sdk.Flag{Name: "to", Arg: "FILE", Short: "write it there", Writes: true}
)

func (c *chat) verbs() []sdk.Verb {
	all := append(c.roomVerbs(), c.talkVerbs()...)
	all = append(all, c.moderatorVerbs()...)
	all = append(all, c.benchVerb())
	for i, v := range all {
		all[i].Do = ruled(v)
	}
	return all
}

// roomVerbs are those about rooms.
func (c *chat) roomVerbs() []sdk.Verb {
	plain := []sdk.Flag{jsonFlag}
	return []sdk.Verb{
		{
			Name: "create", Args: "room NAME", Short: "Create a room, or start one again that is down", Flags: plain, Do: c.create,
			Examples: "chatctl create room general",
		},
		{
			Name: "remove", Args: "room NAME", Short: "End a room and forget its history", Flags: plain, Do: c.remove,
			Examples: "chatctl remove room general",
		},
		{
			Name: "crash", Args: "room NAME", Short: "Crash the process of a room on purpose", Flags: plain, Do: c.crash,
			Examples: "chatctl crash room general",
		},
		{
			Name: "rooms", Short: "List the rooms", Flags: plain, Do: c.list,
			Examples: "chatctl rooms\nchatctl rooms --json | jq -r '.[] | select(.down) | .room'",
		},
		{
			Name: "who", Args: "ROOM", Short: "List who is in a room", Flags: plain, Do: c.who,
			Examples: "chatctl who general",
		},
		{
			Name: "stats", Short: "Count rooms, members and crashes", Flags: plain, Do: c.stats,
			Examples: "chatctl stats --json",
		},
	}
}

// talkVerbs are those about what is said.
func (c *chat) talkVerbs() []sdk.Verb {
	return []sdk.Verb{
		{
			Name: "send", Args: "ROOM TEXT", Short: "Say something in a room", Flags: []sdk.Flag{asFlag, idFlag, jsonFlag}, Do: c.send,
			Examples: "chatctl send general \"hello\"\nchatctl send general \"hi\" --as ada\nchatctl send general -- --help",
		},
		{
			Name: "edit", Args: "ROOM OFFSET TEXT", Short: "Change what a message says", Flags: []sdk.Flag{ownFlag, jsonFlag}, Do: c.edit,
			Examples: "chatctl edit general 2 \"hi all\"\nchatctl edit general 2 \"hi all\" --as ada",
		},
		{
			Name: "delete", Args: "ROOM OFFSET", Short: "Delete a message; its place stays", Flags: []sdk.Flag{ownFlag, jsonFlag}, Do: c.delete,
			Examples: "chatctl delete general 2",
		},
		{
			Name: "join", Args: "ROOM", Short: "Be in a room, and print what is said there", Do: c.join,
			Flags:    []sdk.Flag{asFlag, recent, onFlag, wasFlag, jsonFlag},
			Examples: "chatctl join general\nchatctl join general --as ada --last 1",
		},
		{
			Name: "history", Args: "ROOM", Short: "Print the messages of a room, the newest last", Do: c.history,
			Flags:    []sdk.Flag{sinceFlag, lastFlag, jsonFlag},
			Examples: "chatctl history general\nchatctl history general --since 120\nchatctl history general --since 10m --last 20",
		},
		{
			Name: "export", Args: "ROOM", Short: "Print or write all messages of a room, a line of JSON each", Do: c.export,
			Flags: []sdk.Flag{toFlag}, Examples: "chatctl export general --to general.jsonl",
		},
	}
}

// moderatorVerbs are those about users.
func (c *chat) moderatorVerbs() []sdk.Verb {
	plain := []sdk.Flag{jsonFlag}
	rule := []sdk.Flag{forFlag, whyFlag, jsonFlag}
	return []sdk.Verb{
		{
			Name: "kick", Args: "ROOM USER", Short: "Have a user leave a room", Flags: plain, Do: c.kick,
			Examples: "chatctl kick general ada",
		},
		{
			Name: "ban", Args: "ROOM USER", Short: "Have a user leave a room and keep out of it", Flags: rule, Do: c.sanction(room.Ban),
			Examples: "chatctl ban general ada\nchatctl ban general ada --for 1h --reason spam",
		},
		{
			Name: "unban", Args: "ROOM USER", Short: "Let a user in again", Flags: plain, Do: c.lift(room.Ban),
			Examples: "chatctl unban general ada",
		},
		{
			Name: "mute", Args: "ROOM USER", Short: "Let a user say nothing in a room", Flags: rule, Do: c.sanction(room.Mute),
			Examples: "chatctl mute general ada --for 10m",
		},
		{
			Name: "unmute", Args: "ROOM USER", Short: "Let a user speak again", Flags: plain, Do: c.lift(room.Mute),
			Examples: "chatctl unmute general ada",
		},
		{
			Name: "bans", Args: "ROOM", Short: "List who is banned or muted in a room", Flags: plain, Do: c.sanctions,
			Examples: "chatctl bans general",
		},
		{
			Name: "slow", Args: "ROOM DURATION", Short: "Let each user say one thing in that time; 0 ends it", Flags: plain, Do: c.slow,
			Examples: "chatctl slow general 10s\nchatctl slow general 0",
		},
	}
}

// rules of words, by what stands for them in the arguments and flags of a verb.
var rules = map[string]func(word string) error{
	"ROOM": room.CheckName, "NAME": room.CheckName, "USER": room.CheckUser, "ID": room.CheckID, "TEXT": checkText,
}

// maxText is how many bytes a text may have: a frame with it may be sent to any client.
const maxText = 60_000

func checkText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return errors.New("the text is empty")
	case len(text) > maxText:
		return fmt.Errorf("the text has %d bytes: want at most %d", len(text), maxText)
	}
	return nil
}

// ruled is a verb that is done only if its words are what their places want.
func ruled(v sdk.Verb) func(context.Context, *sdk.Call) error {
	return func(ctx context.Context, call *sdk.Call) error {
		for i, place := range strings.Fields(v.Args) {
			if err := obeys(place, call.Args[i]); err != nil {
				return sdk.Usagef("%v", err)
			}
		}
		for _, f := range v.Flags {
			if word, given := call.Flag(f.Name); given {
				if err := obeys(f.Arg, word); err != nil {
					return sdk.Usagef("--%s: %v", f.Name, err)
				}
			}
		}
		return v.Do(ctx, call)
	}
}

// obeys refuses a word that does not fit its place. A place in lower case is a word that is to be there.
func obeys(place, word string) error {
	if check := rules[place]; check != nil {
		return check(word)
	}
	if place != "" && strings.ToLower(place) == place && word != place {
		return fmt.Errorf("%.80q: want the word %s", word, place)
	}
	return nil
}

// asked is one call of a verb.
type asked struct{ *sdk.Call }

// outcome is what a verb has done, as JSON.
type outcome struct {
	Room string `json:"room"`
	Done string `json:"done"` // created, sent, banned, ...
}

// user is who asks.
func (a asked) user() string {
	if name, given := a.Flag("as"); given {
		return name
	}
	return defaultUser
}

// tell prints v as JSON if that is wanted, or a text.
func (a asked) tell(v any, format string, args ...any) error {
	if !a.Given("json") {
		a.Printf(format+"\n", args...)
		return nil
	}
	line, err := inJSON(v)
	if err == nil {
		a.Printf("%s\n", line)
	}
	return err
}

// offset is a word that numbers a message.
func offset(word string) (uint64, error) {
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil || n == 0 {
		return 0, sdk.Usagef("%s is no number of a message: chatctl history shows them", word)
	}
	return n, nil
}

// shut bounds what a verb waits for.
func shut(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience)
}
