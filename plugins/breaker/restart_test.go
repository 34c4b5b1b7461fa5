package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/theseusd/theseus/sdk/sdktest"
)

func TestMain(m *testing.M) { sdktest.Main(m, service) }

// ledgerConfig has no time matter to the circuits a and b, and little to the circuits that begin with fast.
const ledgerConfig = `{"default":{"failures":3,"failure_ratio":-1,"slow_ratio":-1,"cooldown":"1000h","max_cooldown":"1000h","probes":2,"lease":"1000h"},
"breakers":{"fast":{"cooldown":"1ms","backoff":1,"max_cooldown":"1000h"},"faster":{"cooldown":"1ms","backoff":1,"max_cooldown":"1000h"}}}`

// model is what a circuit should be.
type model struct {
	state         string
	streak, trips int64
	passed        int64
	leases        []string
	until         time.Time // of the cooldown
}

// ledger is all circuits as they should be. The service may be another process, or another version, from call to call.
type ledger struct {
	*testing.T
	url string
	all map[string]*model
}

func newLedger(t *testing.T) *ledger {
	l := &ledger{T: t, all: map[string]*model{}}
	for _, name := range []string{"a", "b", "fast", "faster"} {
		l.all[name] = &model{state: "closed"}
	}
	return l
}

func (l *ledger) call(t rapid.TB, want int, method, path, body string) string {
	t.Helper()
	status, text, _ := sdktest.Request(l.T, method, l.url+"/breakers/"+path, body)
	if status != want {
		t.Fatalf("%s %s %s: got %d %s, want %d", method, path, body, status, text, want)
	}
	return text
}

// step does something at random to the service and to the model; n draws a number below max.
func (l *ledger) step(t rapid.TB, n func(max int) int) {
	name := []string{"a", "b", "fast", "faster"}[n(4)]
	c := l.all[name]
	switch n(8) {
	case 0:
		word := []string{"force-open", "force-close", "reset"}[n(3)]
		l.call(t, 200, "POST", name+"/"+word, "")
		*c = model{state: map[string]string{"force-open": "forced_open", "force-close": "forced_closed", "reset": "closed"}[word]}
	case 1, 2:
		l.permit(t, name, c)
	case 3:
		l.reportProbe(t, name, c, n(4) > 0)
	case 4:
		l.report(t, name, c, true)
	default:
		l.report(t, name, c, false)
	}
	if strings.HasPrefix(name, "fast") && c.state == "open" {
		l.coolDown(t, name, c)
	}
}

func (l *ledger) permit(t rapid.TB, name string, c *model) {
	switch {
	case c.state == "half_open" && int64(len(c.leases))+c.passed < 2:
		var p permitView
		if err := json.Unmarshal([]byte(l.call(t, 200, "POST", name+"/permit", "")), &p); err != nil || p.Lease == "" {
			t.Fatalf("%+v, %v: want a lease", p, err)
		}
		c.leases = append(c.leases, p.Lease)
	case c.state == "closed" || c.state == "forced_closed":
		l.call(t, 200, "POST", name+"/permit", "")
	default:
		l.call(t, http.StatusTooManyRequests, "POST", name+"/permit", "")
	}
}

func (l *ledger) report(t rapid.TB, name string, c *model, ok bool) {
	l.call(t, 200, "POST", name+"/report", fmt.Sprintf(`{"ok":%t}`, ok))
	if c.state != "closed" {
		return
	}
	if c.streak++; ok {
		c.streak = 0
	}
	if c.streak == 3 {
		c.open()
	}
}

func (l *ledger) reportProbe(t rapid.TB, name string, c *model, ok bool) {
	if len(c.leases) == 0 {
		return
	}
	l.call(t, 200, "POST", name+"/report", fmt.Sprintf(`{"ok":%t,"lease":%q}`, ok, c.leases[0]))
	c.leases = slices.Delete(c.leases, 0, 1)
	if c.passed++; !ok {
		c.open()
	} else if c.passed == 2 {
		*c = model{state: "closed"}
	}
}

func (c *model) open() {
	*c = model{state: "open", trips: c.trips + 1, until: time.Now().Add(1000 * time.Hour)}
}

// coolDown waits for the end of a short cooldown.
func (l *ledger) coolDown(t rapid.TB, name string, c *model) {
	for deadline := time.Now().Add(20 * time.Second); l.look(t, name).State.String() != "half_open"; {
		if time.Now().After(deadline) {
			t.Fatalf("%s stays open", name)
		}
	}
	*c = model{state: "half_open", trips: c.trips}
}

func (l *ledger) look(t rapid.TB, name string) (v view) {
	t.Helper()
	if err := json.Unmarshal([]byte(l.call(t, 200, "GET", name, "")), &v); err != nil {
		t.Fatalf("%v", err)
	}
	return v
}

// compare looks at every circuit.
func (l *ledger) compare(t rapid.TB) {
	t.Helper()
	for name, c := range l.all {
		v := l.look(t, name)
		if v.State.String() != c.state || v.Streak != c.streak || v.Trips != c.trips || v.Passed != c.passed || v.Probes != len(c.leases) {
			t.Fatalf("%s is %+v, want %+v", name, v, c)
		}
		if off := time.Until(c.until) - v.cooldown(); c.state == "open" && off.Abs() > 5*time.Second {
			t.Fatalf("the cooldown of %s is off by %v", name, off)
		}
	}
}

// Counts, cooldowns, forced states and probes under way are the same before and after a restart, an upgrade and the way
// back, whatever came before.
func TestCircuitsOutliveTheirVersions(t *testing.T) {
	i := sdktest.StartVersions(t, service, sdktest.Options{Config: ledgerConfig})
	l := newLedger(t)
	rapid.Check(t, func(r *rapid.T) {
		switch rapid.IntRange(0, 9).Draw(r, "what") {
		case 0:
			i.Restart()
		case 1:
			i.Switch()
		}
		l.url = "http://" + i.Addr("http")
		for range 5 {
			l.step(r, func(max int) int { return rapid.IntRange(0, max-1).Draw(r, "n") })
		}
		l.compare(r)
	})
}

func TestCircuitsOutliveAKill(t *testing.T) {
	o := sdktest.Options{Config: ledgerConfig, StateDir: t.TempDir()}
	l := newLedger(t)
	for round := range uint64(5) {
		p := sdktest.StartProcess(t, o)
		l.url = "http://" + p.Addr("http")
		l.compare(t)
		dice := rand.New(rand.NewPCG(round, 1))
		for range 40 {
			l.step(t, dice.IntN)
		}
		p.Kill()
	}
}
