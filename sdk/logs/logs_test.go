package logs

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestSlogComesOutAsHclog(t *testing.T) {
	var out bytes.Buffer
	log := Slog(New("visits", "text", "info", &out))
	log.Debug("not this")
	log.With("a", 1).WithGroup("g").Warn("careful", slog.Group("h", "b", 2), "c", "x y")
	for _, want := range []string{"[WARN]", "visits: careful:", "a=1", "g.h.b=2", `g.c="x y"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks %q", out.String(), want)
		}
	}
	if strings.Contains(out.String(), "not this") {
		t.Error("debug came out at level info")
	}
}
