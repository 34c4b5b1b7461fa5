package drill

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func sampleReport() *Report {
	r := newReport()
	r.Lines = []Line{
		{Name: "a promise", Text: "kept", Figures: map[string]float64{"n_ms": 1.5}},
		{Name: "a time", Text: "20 ms", Goal: "<= 10 ms", Missed: true},
		{Name: "another promise", Text: "not kept", Broken: []string{"user-0000001 was lost"}},
	}
	r.Pauses = []Pause{{Rows: 1000, Reps: 5, Upgrade: 1.25}}
	return r
}

func TestOnlyBrokenInvariantsCount(t *testing.T) {
	if got := sampleReport().Broken(); len(got) != 1 || got[0] != "another promise: user-0000001 was lost" {
		t.Errorf("broken: %q", got)
	}
}

func TestReportIsReadableInEveryForm(t *testing.T) {
	r := sampleReport()
	var text, markdown, js strings.Builder
	r.WriteText(&text)
	r.WriteMarkdown(&markdown)
	if err := r.WriteJSON(&js); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ok      a promise", "slow    a time", "BROKEN  another promise", "! user-0000001", "1.25"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text has no %q:\n%s", want, &text)
		}
	}
	if !strings.Contains(markdown.String(), "| a time | 20 ms | <= 10 ms | slow |") {
		t.Errorf("markdown:\n%s", &markdown)
	}
	var back Report
	if err := json.Unmarshal([]byte(js.String()), &back); err != nil || len(back.Lines) != 3 || back.Pauses[0].Upgrade != 1.25 {
		t.Errorf("json: %v\n%s", err, &js)
	}
}

func TestSummaryTakesMedians(t *testing.T) {
	p := summary(1000, []sample{
		{upgrade: 3 * time.Millisecond, rollback: time.Millisecond, ready: time.Second},
		{upgrade: time.Millisecond, rollback: 9 * time.Millisecond, ready: time.Second},
		{upgrade: 2 * time.Millisecond, rollback: 2 * time.Millisecond, ready: time.Second},
	})
	if p.Upgrade != 2 || p.Rollback != 2 || p.Worst != 9 || p.Seconds != 1 || p.Reps != 3 {
		t.Errorf("summary %+v", p)
	}
}
