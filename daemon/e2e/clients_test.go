package e2e

import (
	"context"
	"fmt"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/theseusd/theseus/upgrades/drill/crowd"
)

// Clients of the chat in one room, most of them silent, all of which check what they hear.
const (
	speakers = 4
	silent   = 50
)

// clients starts and stops the clients of a script, or kills the chat under them and waits until they are back.
func clients(ts *testscript.TestScript, neg bool, args []string) {
	i := instanceOf(ts)
	switch {
	case !neg && len(args) == 2 && args[0] == "start" && i.crowd == nil:
		i.crowd = startCrowd(ts, i.chat, args[1])
	case !neg && len(args) == 1 && args[0] == "kill9" && i.crowd != nil:
		ts.Check(i.crowd.Cut(context.Background(), func() error { signal(ts, "chat", syscall.SIGKILL); return nil }))
	case !neg && len(args) == 1 && args[0] == "stop" && i.crowd != nil:
		sum := i.crowd.End()
		i.crowd = nil
		fmt.Fprintln(ts.Stdout(), sum)
		ts.Logf("the clients have heard %d messages; %v", sum.Heard, sum.First)
	default:
		ts.Fatalf("usage: clients start ROOM, perhaps clients kill9, then clients stop")
	}
}

// startCrowd returns when all of them are in the room and have heard each other.
func startCrowd(ts *testscript.TestScript, addr, room string) *crowd.Crowd {
	c, err := crowd.Gather(context.Background(), crowd.Options{
		Addr: addr, Rooms: []string{room}, Clients: speakers + silent, Speakers: speakers, Watchers: speakers + silent, Every: askEvery,
	})
	ts.Check(err)
	ts.Defer(func() { c.Disperse() })
	ts.Check(c.Speak(context.Background()))
	return c
}
