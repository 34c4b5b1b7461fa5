package main

import (
	"strings"
	"testing"
)

func TestRemove(t *testing.T) {
	f := serve(t, map[string]string{"POST /v1/remove": `{"release":"v2","packages":["visits 2.0.0"]}`})
	code, out, errs := reltool(t.Context(), "remove v2")
	if code != 0 || errs != "" || out != "release removed: v2\n  no longer in the store: visits 2.0.0\n" {
		t.Errorf("got %d %q %q", code, out, errs)
	}
	if f.sent["POST /v1/remove"] != `{"release":"v2","by":""}` {
		t.Errorf("sent %s", f.sent["POST /v1/remove"])
	}
	f.answers["POST /v1/remove"] = `{"release":"v2","packages":[]}`
	if _, out, _ = reltool(t.Context(), "remove v2"); !strings.HasSuffix(out, "needed by other releases\n") {
		t.Errorf("got %q", out)
	}
	if _, out, _ = reltool(t.Context(), "remove v2 --json"); strings.TrimSpace(out) == "" || out[0] != '{' {
		t.Errorf("got %q", out)
	}
	f.answers["POST /v1/remove"] = `!{"code":"in_use","error":"release v1 is what runs now","running":"v1: visits 1.0.0","hint":"go"}`
	if code, _, errs = reltool(t.Context(), "remove v1"); code != 1 || errs != "reltool: release v1 is what runs now\nrunning now: v1: visits 1.0.0\ngo\n" {
		t.Errorf("got %d %q", code, errs)
	}
	if code, _, _ = reltool(t.Context(), "remove"); code != 2 {
		t.Errorf("got %d", code)
	}
}
