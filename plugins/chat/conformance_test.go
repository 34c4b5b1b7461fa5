package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/sdktest/npm"
)

// The official client of Centrifuge, from npm, in its normal use.
func TestTheOfficialClient(t *testing.T) {
	dir := npm.Install(t, "testdata/conformance")
	t.Setenv("NODE_OPTIONS", "--experimental-eventsource --no-warnings")
	for form, at := range map[string]string{
		"json": "ws://%s/connection/websocket", "protobuf": "ws://%s/connection/websocket", "sse": "http://%s", "http_stream": "http://%s",
	} {
		t.Run(form, func(t *testing.T) {
			i := startChat(t, sdktest.Options{Config: tokens})
			i.Verb("create", "room", "general")
			out, err := npm.Run(t, dir, "client.js", fmt.Sprintf(at, i.Addr("clients")), form)
			if err != nil || strings.TrimSpace(out) != "ok" {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
