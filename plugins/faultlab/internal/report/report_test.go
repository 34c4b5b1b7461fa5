package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/theseusd/theseus/plugins/faultlab/internal/lab"
	"github.com/theseusd/theseus/sdk/supervise"
)

var title = Title{Number: 3, Began: time.Unix(0, 0).UTC(), Version: "1.0.0", Strategy: "one_for_one", Fault: "panic", Level: "process", Workers: 3, Intensity: 3, Period: 5}

// wellFormed reads the page as a browser would, and fails on a tag that is not closed.
func wellFormed(t *testing.T, page []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestThePageShowsEveryStrategyAndNeedsNothingElse(t *testing.T) {
	for _, p := range []lab.Plan{
		{Compare: true, Crashes: 5, Workers: 4, Seed: 7},
		{Compare: true, Fault: lab.Hang, Level: lab.Goroutine, Crashes: 2},
		{Compare: true, Fault: lab.StartError, Names: []string{"a.b", "x", "y"}},
		{Compare: true, Intensity: 2, Escalate: true, Workers: 100},
	} {
		trials, err := lab.Run(t.Context(), p, "", lab.Watcher{})
		if err != nil {
			t.Fatal(err)
		}
		page, err := Page(title, trials)
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, page)
		text := string(page)
		for s := supervise.OneForOne; s <= supervise.Dynamic; s++ {
			if n := strings.Count(text, "<h2>"+s.String()+"</h2>"); n != 1 {
				t.Errorf("%s is there %d times", s, n)
			}
		}
		for _, outside := range []string{"http:", "https:", "src=", "url(", "<script", "@import"} {
			if strings.Contains(text, outside) {
				t.Errorf("the page needs something else: %s", outside)
			}
		}
		if gaveUp := strings.Contains(text, ">supervisor gave up</text>"); gaveUp != (trials[0].Escalated > 0) {
			t.Errorf("it gave up: %v, the page says %v", trials[0].Escalated, gaveUp)
		}
		if orphans := strings.Contains(text, `<line class="orphan" x1="0" x2="100%"`); orphans != (p.Fault == lab.Hang) {
			t.Errorf("orphans are shown: %v", orphans)
		}
	}
}

func TestWhatIsWrittenIsEscaped(t *testing.T) {
	page, err := Page(title, []lab.Trial{{
		Strategy: "dynamic", Story: []string{"<script>"}, Broken: "<b>",
		Lanes: []lab.Lane{{Worker: "<i>", Events: []lab.Event{{What: lab.Started}, {At: 1, What: lab.Refused, Text: "<u>"}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, page)
	for _, tag := range []string{"<script>", "<b>", "<i>", "<u>"} {
		if bytes.Contains(page, []byte(tag)) {
			t.Errorf("%s is in the page", tag)
		}
	}
}

func TestALaneHasNoOverlaps(t *testing.T) {
	kinds := []string{lab.Started, lab.Hurt, lab.Ended, lab.Stopped, lab.Refused, lab.Answered, lab.GaveUp}
	rapid.Check(t, func(t *rapid.T) {
		took := rapid.Float64Range(1e-6, 100).Draw(t, "took")
		var events []lab.Event
		at := 0.0
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			at += rapid.Float64Range(0, took/40).Draw(t, "later")
			events = append(events, lab.Event{At: at, What: rapid.SampledFrom(kinds).Draw(t, "what")})
		}
		l := drawLane(lab.Lane{Worker: "A", Events: events}, took)
		end := 0.0
		for _, s := range l.Spans {
			from, width := number(t, s.From), number(t, s.Width)
			if from < end-0.002 || from+width > 100.002 {
				t.Fatalf("%+v begins before %v or is too wide", s, end)
			}
			end = from + width
		}
		for _, m := range l.Marks {
			number(t, m.At)
		}
	})
}

func number(t *rapid.T, text string) float64 {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || f > 100 {
		t.Fatalf("%q is no place", text)
	}
	return f
}

func TestSeconds(t *testing.T) {
	for s, want := range map[float64]string{
		0: "-", 4.2e-8: "42ns", 1.234e-6: "1.23µs", 0.0001555: "156µs", 0.0999999: "100ms", 0.25: "250ms", 1: "1s", 12.345: "12.3s", 3600: "3600s",
	} {
		if got := Seconds(s); got != want {
			t.Errorf("%v: %s, want %s", s, got, want)
		}
	}
}

func TestTheScaleHoldsEverything(t *testing.T) {
	for _, c := range []struct {
		p50, most float64
		low, high int
	}{{0, 0, -6, 0}, {1e-4, 1e-4, -4, -3}, {1.5e-4, 9e-4, -4, -3}, {4e-5, 0.3, -5, 0}, {2, 2, 0, 1}} {
		low, high := decades([]lab.Trial{{Recovery: lab.Recovery{Count: int(1e9 * c.most), P50: c.p50, Max: c.most}}})
		if low != c.low || high != c.high {
			t.Errorf("%v to %v: %d to %d", c.p50, c.most, low, high)
		}
	}
}
