package clock

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDurationsAreWrittenAsWords(t *testing.T) {
	for text, want := range map[string]Duration{`"10s"`: Duration(10 * time.Second), `"1m30s"`: Duration(90 * time.Second), `"0s"`: 0} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil || d != want {
			t.Errorf("%s is read as %v, %v", text, d, err)
		}
		if got, err := json.Marshal(d); err != nil || string(got) != text {
			t.Errorf("%s is written as %s, %v", text, got, err)
		}
	}
	for _, text := range []string{`"soon"`, `"5"`, `5`, `""`} {
		if err := json.Unmarshal([]byte(text), new(Duration)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

func TestSecondsAreRoundedUp(t *testing.T) {
	for d, want := range map[time.Duration]int64{0: 0, 1: 1, time.Second: 1, time.Second + 1: 2} {
		if got := Seconds(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}
