package main

import (
	"testing"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
)

var service = sdk.Service{Name: "ratelimit", Version: version, Setup: setup}

func TestSeedWords(t *testing.T) {
	i := sdktest.Start(t, service, sdktest.Options{})
	if got := i.Verb("check", "user42"); got != "allowed (remaining=9)" {
		t.Errorf("got %q", got)
	}
	for range 9 {
		i.Verb("check", "user42")
	}
	if got := i.VerbFails("check", "user42"); got != "blocked (retry_in=12s)" {
		t.Errorf("got %q", got)
	}
}
