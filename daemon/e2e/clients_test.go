package e2e

import (
	"context"
	"fmt"
	"strconv"
	"syscall"
	"time"

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

// say has a user of the chat say messages, and prints how many were taken, the others being too many; or it has others do so
// until so many are.
func say(ts *testscript.TestScript, neg bool, args []string) {
	usage := "usage: say ROOM USER N, or say ROOM until TAKEN N"
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("%s", usage)
	}
	n, err := strconv.Atoi(args[len(args)-1])
	ts.Check(err)
	ask := func(user string) string {
		taken, err := crowd.Say(context.Background(), instanceOf(ts).chat, args[0], user, n)
		ts.Check(err)
		return strconv.Itoa(taken)
	}
	if len(args) == 3 {
		fmt.Fprintf(ts.Stdout(), "taken=%s\n", ask(args[1]))
		return
	}
	var taken string
	for began := time.Now(); time.Since(began) < patience; time.Sleep(askEvery) {
		if taken = ask(fmt.Sprint("until", time.Since(began))); taken == args[2] {
			return
		}
	}
	ts.Fatalf("waited %s until of %d messages %s are taken, not %s", patience, n, args[2], taken)
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
