package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
)

func TestBench(t *testing.T) {
	i := startWithRoom(t, "")
	got := i.Verb("bench", "--n", "400", "--rooms", "4", "--members", "5")
	want := `^acknowledged: \d+/s p50=\S+ p99=\S+ max=\S+\nheard: \d+/s p50=\S+ p99=\S+ max=\S+ lost=0 twice=0$`
	if !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("got %s", got)
	}
	var r result
	if err := json.Unmarshal([]byte(i.Verb("bench", "--n", "10", "--rooms", "1", "--json")), &r); err != nil || r.Heard.PerSecond == 0 || r.Lost != 0 {
		t.Errorf("got %+v, %v", r, err)
	}
	if got := i.Verb("stats"); !strings.HasPrefix(got, "rooms=1 members=0 messages=0 ") {
		t.Errorf("something is left: %s", got)
	}
	if err := i.VerbError("bench", "--n", "10000000", "--members", "1000"); err == nil {
		t.Error("a measurement has no bound")
	}
}

// What a measurement has left that was cut off goes with the next one.
func TestBenchTidiesUp(t *testing.T) {
	var c *chat
	i := sdktest.Start(t, sdk.Service{Name: "chat", Version: version, Setup: func(s *sdk.Setup) (err error) {
		c, err = open(s)
		return err
	}}, sdktest.Options{})
	for _, name := range []string{benchRoom + "0", benchRoom + "9"} {
		if _, err := c.rooms.Create(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := i.VerbError("create", "room", name); !strings.Contains(fmt.Sprint(err), "chatctl bench") {
			t.Errorf("somebody makes a room that the next measurement removes: %v", err)
		}
	}
	i.Verb("bench", "--n", "10", "--rooms", "2")
	if got := i.Verb("rooms"); got != "there is no room: chatctl create room NAME" {
		t.Errorf("got %s", got)
	}
}
