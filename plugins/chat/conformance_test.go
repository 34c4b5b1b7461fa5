package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/sdktest"
)

// The official client of Centrifuge, from npm, in its normal use.
func TestTheOfficialClient(t *testing.T) {
	if testing.Short() {
		t.Skip("it installs a package")
	}
	dir := install(t)
	for _, form := range []string{"json", "protobuf"} {
		t.Run(form, func(t *testing.T) {
			i := startChat(t, sdktest.Options{Config: tokens})
			i.Verb("create", "room", "general")
			out, err := command(t, dir, time.Minute, "node", "client.js", "ws://"+i.Addr("clients")+"/connection/websocket", form)
			if err != nil || strings.TrimSpace(out) != "ok" {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// install gets the client; where that cannot be the test is skipped, and says so.
func install(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("!! SKIPPED: the official client was not tried, as there is no %s here", name)
		}
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "conformance"))); err != nil {
		t.Fatal(err)
	}
	if out, err := command(t, dir, time.Minute, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"); err != nil {
		t.Skipf("!! SKIPPED: the official client was not tried, as it cannot be installed: %v\n%s", err, out)
	}
	return dir
}

func command(t *testing.T, dir string, limit time.Duration, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}
