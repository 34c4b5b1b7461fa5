package main

import (
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/sdktest/npm"
)

// The official client of Centrifuge, from npm, in its normal use.
func TestTheOfficialClient(t *testing.T) {
	dir := npm.Install(t, "testdata/conformance")
	for _, form := range []string{"json", "protobuf"} {
		t.Run(form, func(t *testing.T) {
			i := startChat(t, sdktest.Options{Config: tokens})
			i.Verb("create", "room", "general")
			out, err := npm.Run(t, dir, "client.js", "ws://"+i.Addr("clients")+"/connection/websocket", form)
			if err != nil || strings.TrimSpace(out) != "ok" {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
