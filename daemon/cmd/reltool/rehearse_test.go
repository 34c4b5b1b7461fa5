package main

import (
	"strings"
	"testing"
)

const rehearsedJSON = `{"kind":"rehearsing","service":"visits","done":1,"total":2}
{"kind":"rehearsed","service":"cache","text":"12 rows read, none has another shape","seconds":0.002,"detail":{"version":"1.1.0","rows":12,"changed":0,"lossy":0,"ok":true}}
{"kind":"rehearsed","service":"visits","reason":"visits: rehearse: row \"ada\" of table visits: check: odd","seconds":1.5,"detail":{"version":"2.0.0","rows":20000,"changed":20000,"lossy":3,"ok":false}}
`

func TestRehearse(t *testing.T) {
	f := serve(t, map[string]string{"POST /v1/rehearse": rehearsedJSON +
		`{"kind":"end","last":true,"error":{"code":"rehearsal","error":"v2 is not fit: visits: odd","running":"v1","hint":"nothing was changed"}}`})
	code, out, errs := reltool(t.Context(), "rehearse v2")
	if code != failed || errs != "reltool: v2 is not fit: visits: odd\nrunning now: v1\nnothing was changed\n" {
		t.Errorf("got %d, %q", code, errs)
	}
	golden(t, "rehearse", out)
	if !strings.Contains(f.sent["POST /v1/rehearse"], `"to":"v2"`) {
		t.Errorf("sent %s", f.sent["POST /v1/rehearse"])
	}
	f.answers["POST /v1/rehearse"] = rehearsedJSON +
		`{"kind":"end","last":true,"error":{"code":"rehearsal","error":"v2 is not fit: visits: rehearse: row \"ada\" of table visits: check: odd"}}`
	if _, out, errs := reltool(t.Context(), "rehearse v2"); strings.Count(out+errs, "check: odd") != 1 {
		t.Errorf("the reason is not told once: %s%s", out, errs)
	}
	f.answers["POST /v1/rehearse"] = rehearsedJSON + `{"kind":"end","last":true}`
	if code, out, _ := reltool(t.Context(), "rehearse"); code != done || !strings.HasSuffix(out, "\nrehearsal passed; nothing was changed\n") {
		t.Errorf("got %d, %q", code, out)
	}
	if code, out, _ := reltool(t.Context(), "rehearse --json"); code != done || strings.Count(out, "\n") != 4 {
		t.Errorf("got %d, %q", code, out)
	}
	if code, _, _ := reltool(t.Context(), "rehearse v1 v2"); code != wrongUsage {
		t.Errorf("two releases end with %d", code)
	}
}
