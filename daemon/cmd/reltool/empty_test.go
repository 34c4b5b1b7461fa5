package main

import (
	"io"
	"strings"
	"testing"
)

// A variable that is not set named the newest release.
func TestAnEmptyNameIsNoRelease(t *testing.T) {
	for _, verb := range []string{"upgrade", "rehearse", "rollback"} {
		var errs strings.Builder
		if code := run(t.Context(), []string{verb, ""}, screen{Writer: io.Discard}, &errs); code != 2 || !strings.Contains(errs.String(), "RELEASE is empty") {
			t.Errorf("%s: %d, %s", verb, code, errs.String())
		}
	}
}
