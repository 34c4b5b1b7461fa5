package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/web"
)

var service = sdk.Service{Name: "breaker", Version: version, Setup: setup}

const configText = `{"default":{"failures":3,"window":"1h"},"breakers":{"fast":{"cooldown":"50ms","max_cooldown":"50ms","probes":1}}}`

func TestTheWordsOfTheCommandLine(t *testing.T) {
	i := sdktest.Start(t, service, sdktest.Options{Config: configText})
	for _, step := range []struct{ line, want string }{
		{"status serviceA", "state: closed (calls=0 failures=0 slow=0)"},
		{"permit serviceA", "permitted"},
		{"report serviceA --fail", "state: closed (calls=1 failures=1 slow=0)"},
		{"report serviceA --exit 7", "state: closed (calls=2 failures=2 slow=0)"},
		{"report serviceA --exit 7 --ok-exit 0,7 --took 3s", "state: closed (calls=3 failures=2 slow=0)"},
		{"report serviceA --fail", "state: closed"},
		{"report serviceA --fail", "state: closed"},
		{"report serviceA --fail", "state: open (cooldown=30s)"},
		{"status serviceA", "state: open (cooldown=30s)"},
		{"permit serviceA", "!refused (retry_in=30s)"},
		{"exec serviceA -- true", "!serviceA: refused (retry_in=30s)"},
		{"list", "serviceA: open (cooldown=30s)"},
		{"force-close serviceA", "state: closed (forced)"},
		{"permit serviceA", "permitted"},
		{"force-open serviceA", "state: open (forced)"},
		{"permit serviceA", "!refused (forced)"},
		{"reset serviceA", "state: closed (calls=0 failures=0 slow=0)"},
		{"set serviceA --failures 1 --cooldown 10s", "ok"},
		{"report serviceA --fail", "state: open (cooldown=10s)"},
		{"set serviceA", "ok"},
		{"set serviceA --cooldown soon", "!--cooldown soon: want DURATION"},
		{"set serviceA --jitter 3", "!jitter: 3 is not between"},
		{"set serviceA --failure-ratio NaN", "!failure_ratio and slow_ratio are at most 1"},
		{"report serviceA", "!want one of --ok, --fail and --exit CODE"},
		{"report serviceA --ok --fail", "!want one of --ok, --fail and --exit CODE"},
		{"report serviceA --ok --took -1s", "!--took -1s: want a duration"},
		{"report serviceA --ok --lease zz", "!--lease zz: want what permit has printed"},
		{"report serviceA --ok --lease 1f", "!there is no such lease"},
		{"permit " + strings.Repeat("n", 129), "!a name has 1 to 128 letters"},
	} {
		want, fails := strings.CutPrefix(step.want, "!")
		words := strings.Fields(step.line)
		var got string
		if fails {
			if got = i.VerbFails(words[0], words[1:]...); got == "" {
				got = i.VerbError(words[0], words[1:]...).Error()
			}
		} else {
			got = i.Verb(words[0], words[1:]...)
		}
		if !strings.HasPrefix(got, want) {
			t.Fatalf("%s: got %q, want %q", step.line, got, want)
		}
	}
	if events := strings.Split(i.Verb("events", "serviceA"), "\n"); len(events) != 5 || !strings.Contains(events[0], "closed -> open (trip: 3 failures in a row)") {
		t.Errorf("%q", events)
	}
}

// A circuit goes all the way round, and whoever watches sees each move once.
func TestAllTheWayRound(t *testing.T) {
	i := sdktest.Start(t, service, sdktest.Options{Config: configText})
	url := "http://" + i.Addr("http")
	events := listen(t, url, "")
	for range 3 {
		sdktest.Request(t, "POST", url+"/breakers/fast/report", `{"ok":false}`)
	}
	want := func(from, to string) line {
		t.Helper()
		l := <-events
		if l.From.String() != from || l.To.String() != to || l.Name != "fast" {
			t.Fatalf("%s, want from %s to %s", l, from, to)
		}
		return l
	}
	first := want("closed", "open")
	want("open", "half_open") // though nobody asks
	_, body, _ := sdktest.Request(t, "POST", url+"/breakers/fast/permit", "")
	var p permitView
	if err := json.Unmarshal([]byte(body), &p); err != nil || p.Lease == "" {
		t.Fatal(body, err)
	}
	if status, body, _ := sdktest.Request(t, "POST", url+"/breakers/fast/permit", ""); status != http.StatusTooManyRequests || !strings.Contains(body, `"retry_after":`) {
		t.Error(status, body)
	}
	sdktest.Request(t, "POST", url+"/breakers/fast/report", `{"ok":true,"lease":"`+p.Lease+`"}`)
	want("half_open", "closed")
	later := listen(t, url, fmt.Sprint(first.Number))
	for _, to := range []string{"half_open", "closed"} {
		if l := <-later; l.To.String() != to {
			t.Errorf("a client that comes back sees %s", l)
		}
	}
}

// A client that had heard more than is there now, after a loss of power, heard nothing until the numbers had caught up.
func TestAClientThatIsAheadHearsTheNextChange(t *testing.T) {
	i := sdktest.Start(t, service, sdktest.Options{})
	url := "http://" + i.Addr("http")
	i.Verb("force-open", "a")
	events := listen(t, url, "500")
	for _, want := range []string{"closed", "forced_closed"} {
		i.Verb(map[string]string{"closed": "reset", "forced_closed": "force-close"}[want], "a")
		select {
		case l := <-events:
			if l.To.String() != want {
				t.Errorf("%s, want %s", l, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nothing is heard of", want)
		}
	}
}

// listen follows the stream of events.
func listen(t *testing.T, url, last string) <-chan line {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan line, 100)
	go func() {
		defer close(lines)
		defer res.Body.Close()
		for s := bufio.NewScanner(res.Body); s.Scan(); {
			text, ok := strings.CutPrefix(s.Text(), "data: ")
			var l line
			if ok && json.Unmarshal([]byte(text), &l) == nil {
				lines <- l
			}
		}
	}()
	return lines
}

func TestBadRequests(t *testing.T) {
	i := sdktest.Start(t, service, sdktest.Options{})
	url := "http://" + i.Addr("http")
	for _, step := range []struct {
		method, path, body, want string
		status                   int
	}{
		{"POST", "/breakers/a/report", `{"took_ms":1}`, `\"ok\" is missing`, 400},
		{"POST", "/breakers/a/report", `{"ok":true,"took_ms":-1}`, `\"took_ms\" is not a time`, 400},
		{"POST", "/breakers/a/report", `{"ok":true,"lease":"1f"}`, "no such lease", 409},
		{"POST", "/breakers/a/report", `{"okay":true}`, "unknown field", 400},
		{"POST", "/breakers/a/report", `{"lease":"` + strings.Repeat("x", web.MaxBody) + `"}`, "the body", 400},
		{"POST", "/breakers/%00/permit", "", "a name has", 400},
		{"PUT", "/breakers/a/settings", `{"probes":-1}`, "probes: -1", 400},
		{"PUT", "/breakers/a/settings", `{"cooldown":"5"}`, "is no duration", 400},
		{"PUT", "/breakers/a/settings", `{"cooldown":"5s"}`, `"cooldown":"5s"`, 200},
		{"GET", "/nothing", "", "try GET /breakers", 404},
	} {
		if status, body, _ := sdktest.Request(t, step.method, url+step.path, step.body); status != step.status || !strings.Contains(body, step.want) {
			t.Errorf("%s %s %.60s: got %d %s", step.method, step.path, step.body, status, body)
		}
	}
	for _, config := range []string{`{"default":{"failures":1,"probes":-2}}`, `{"breakers":{"a b":{}}}`, `{"defualt":{}}`} {
		_, err := sdk.StartLocal(t.Context(), service, sdk.LocalOptions{StateDir: t.TempDir(), Config: []byte(config)})
		if err == nil || !strings.Contains(err.Error(), "config") {
			t.Errorf("%s: %v", config, err)
		}
	}
}

// Any page that was open in a browser on the machine could open circuits.
func TestAPageOfAnotherSiteChangesNothing(t *testing.T) {
	i := sdktest.Start(t, service, sdktest.Options{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+i.Addr("http")+"/breakers/a/force-open", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://page.example")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := i.Verb("status", "a"); res.StatusCode != http.StatusForbidden || got != "state: closed (calls=0 failures=0 slow=0)" {
		t.Error(res.Status, got)
	}
}

// A flood of names that nobody has reported leaves no rows; one of names that were is bounded, and the circuits that are
// there work on.
func TestAFloodOfNames(t *testing.T) {
	i := sdktest.Start(t, service, sdktest.Options{})
	for n := range 100 {
		i.Verb("permit", fmt.Sprint("n", n))
	}
	if got := i.Verb("list"); got != "" {
		t.Fatal(got)
	}
	if testing.Short() {
		return
	}
	for n := range maxBreakers {
		i.Verb("report", fmt.Sprint("n", n), "--ok")
	}
	if err := i.VerbError("report", "more", "--ok"); err == nil || !strings.Contains(err.Error(), errMany.Error()) {
		t.Error(err)
	}
	i.Verb("report", "n1", "--ok")
	i.Verb("permit", "more")
}
