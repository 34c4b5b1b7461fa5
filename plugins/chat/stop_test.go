package main

import (
	"bufio"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/sdktest/npm"
)

// A stop cut its clients off without a word, so that all came back in the same instant.
func TestAStopIsToldToClients(t *testing.T) {
	i := startWithRoom(t, tokens)
	ada, bob := as(t, i, kinds[0], "token-of-ada"), as(t, i, kinds[1], "token-of-bob")
	ada.subscribe("general")
	bob.subscribe("general")
	bob.publish("general", `{"text":"the last word"}`)
	stopped := make(chan struct{})
	go func() { i.Stop(); close(stopped) }()
	ada.hears(1, `{"text":"the last word"}`)
	for _, c := range []*client{ada, bob} {
		c.ends(3001)
		c.nc.Close()
	}
	<-stopped
	again := startChat(t, sdktest.Options{Config: tokens, StateDir: i.StateDir()})
	as(t, again, kinds[0], "token-of-ada").subscribe("general")
}

// Official clients take the close as a word to come back, each after a time of its own.
func TestOfficialClientsComeBackAfterAStop(t *testing.T) {
	dir := npm.Install(t, "testdata/conformance")
	i := startChat(t, sdktest.Options{Config: tokens})
	cmd := exec.CommandContext(t.Context(), "node", "stop.js", "ws://"+i.Addr("clients")+"/connection/websocket")
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if lines.Scan(); lines.Text() != "connected" {
		t.Fatal(lines.Text())
	}
	i.Stop()
	var rest strings.Builder
	for lines.Scan() {
		rest.WriteString(lines.Text())
	}
	if err := cmd.Wait(); err != nil || rest.String() != "ok" {
		t.Errorf("%v: %s", err, rest.String())
	}
}
