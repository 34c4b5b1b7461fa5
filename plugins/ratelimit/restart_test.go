package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/theseusd/theseus/sdk/sdktest"
)

func TestMain(m *testing.M) { sdktest.Main(m, service) }

// ledger is what was used, as a sum: the limits of policyText do not come back while a test runs. The service may be another
// process, or another version, from call to call.
type ledger struct {
	*testing.T
	url    string
	used   map[[2]string]int64 // by policy and key
	leases map[string][]string // of jobs, by key
}

var limitsOfText = map[string]int64{"api": 20, "day": 30, "login": 25, "jobs": 2}

func newLedger(t *testing.T) *ledger {
	return &ledger{T: t, used: map[[2]string]int64{}, leases: map[string][]string{}}
}

// call makes a call, which is answered with that status.
func (l *ledger) call(t rapid.TB, want int, method, path, body string) view {
	t.Helper()
	status, text, _ := sdktest.Request(l.T, method, l.url+path, body)
	if status != want {
		t.Fatalf("%s %s %s: got %d %s, want %d; used %v", method, path, body, status, text, want, l.used)
	}
	var v view
	if strings.HasPrefix(path, "/check") && text != "" {
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return v
}

// step does something at random to the service and to the sums; n draws a number below max.
func (l *ledger) step(t rapid.TB, n func(max int) int) {
	policy, key, cost := []string{"api", "day", "login"}[n(3)], fmt.Sprint("u", n(5)), int64(1+n(5))
	at, query := [2]string{policy, key}, fmt.Sprintf("%s?policy=%s&cost=%d", key, policy, cost)
	switch n(10) {
	case 0:
		l.call(t, 204, "POST", "/refund/"+query, "")
		l.used[at] = max(l.used[at]-cost, 0)
	case 1:
		l.call(t, 204, "DELETE", "/check/"+query, "")
		l.used[at] = 0
	case 2, 3:
		l.together(t, key, cost)
	case 4:
		l.take(t, key)
	case 5:
		l.release(t, key)
	default:
		if l.used[at]+cost > limitsOfText[policy] {
			l.call(t, 429, "POST", "/check/"+query, "")
		} else {
			l.call(t, 200, "POST", "/check/"+query, "")
			l.used[at] += cost
		}
	}
}

// together charges three limits, or none.
func (l *ledger) together(t rapid.TB, key string, cost int64) {
	var asks []string
	want := 200
	for _, policy := range []string{"api", "day", "login"} {
		asks = append(asks, fmt.Sprintf(`{"policy":%q,"key":%q,"cost":%d}`, policy, key, cost))
		if l.used[[2]string{policy, key}]+cost > limitsOfText[policy] {
			want = 429
		}
	}
	l.call(t, want, "POST", "/check", `{"limits":[`+strings.Join(asks, ",")+`]}`)
	for _, policy := range []string{"api", "day", "login"} {
		if want == 200 {
			l.used[[2]string{policy, key}] += cost
		}
	}
}

func (l *ledger) take(t rapid.TB, key string) {
	if len(l.leases[key]) == 2 {
		l.call(t, 429, "POST", "/check/"+key+"?policy=jobs", "")
		return
	}
	v := l.call(t, 200, "POST", "/check/"+key+"?policy=jobs", "")
	l.leases[key] = append(l.leases[key], v.Limits[0].Lease)
	l.used[[2]string{"jobs", key}]++
}

func (l *ledger) release(t rapid.TB, key string) {
	if len(l.leases[key]) == 0 {
		l.call(t, 404, "DELETE", "/leases/"+key+"/1f?policy=jobs", "")
		return
	}
	l.call(t, 204, "DELETE", "/leases/"+key+"/"+l.leases[key][0]+"?policy=jobs", "")
	l.leases[key] = slices.Delete(l.leases[key], 0, 1)
	l.used[[2]string{"jobs", key}]--
}

// compare looks at every row.
func (l *ledger) compare(t rapid.TB) {
	t.Helper()
	for at, used := range l.used {
		v := l.call(t, 200, "GET", "/check/"+at[1]+"?cost=0&policy="+at[0], "")
		if got := limitsOfText[at[0]] - v.Limits[0].Remaining; got != used {
			t.Fatalf("of %v %d are used, want %d", at, got, used)
		}
	}
}

// What was used is the same before and after a restart, an upgrade and the way back, whatever was called before.
func TestNobodyGetsAFreshStart(t *testing.T) {
	i := sdktest.StartVersions(t, service, options(fileWith(t, policyText), ""))
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

const floodText = policyText + `
[[policy]]
name  = "flood1"
limit = 100000
per   = "8000h"

[[policy]]
name      = "flood2"
algorithm = "quota"
limit     = 100000
per       = "8000h"

[[policy]]
name      = "flood3"
algorithm = "sliding_window"
limit     = 100000
per       = "8000h"
`

// No answer is forgotten by kill -9, and the call that it interrupts has charged all of its limits or none.
func TestKilledServicesForgetNothing(t *testing.T) {
	l, o, charged := newLedger(t), options(fileWith(t, floodText), t.TempDir()), int64(0)
	for round := range uint64(4) {
		p := sdktest.StartProcess(t, o)
		l.url = "http://" + p.Addr("http")
		l.compare(t)
		charged = l.flooded(charged)
		dice := rand.New(rand.NewPCG(round, 1))
		for range 30 {
			l.step(t, dice.IntN)
		}
		charged += l.flood(p.Kill)
	}
	p := sdktest.StartProcess(t, o)
	l.url = "http://" + p.Addr("http")
	l.compare(t)
	l.flooded(charged)
}

// flood makes calls over three limits until the service is killed in the middle of one, and counts the answers.
func (l *ledger) flood(kill func()) (answered int64) {
	enough, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		for {
			res, err := http.Post(l.url+"/check", "application/json", strings.NewReader(
				`{"limits":[{"policy":"flood1","key":"f"},{"policy":"flood2","key":"f"},{"policy":"flood3","key":"f"}]}`))
			if err != nil {
				return
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				l.Errorf("the flood was answered with %s", res.Status)
				return
			}
			if answered++; answered == 100 {
				close(enough)
			}
		}
	}()
	select {
	case <-enough:
	case <-ended:
	}
	kill()
	<-ended
	return answered
}

// flooded is what the flood has charged: what was answered, and maybe the call that was interrupted.
func (l *ledger) flooded(answered int64) (used int64) {
	l.Helper()
	v := l.call(l, 200, "GET", "/check/f?cost=0&policy=flood1,flood2,flood3", "")
	used = v.Limits[0].Limit - v.Limits[0].Remaining
	for _, one := range v.Limits {
		if got := one.Limit - one.Remaining; got != used || got < answered || got > answered+1 {
			l.Fatalf("%s has %d used, %s has %d, and %d were answered", one.Policy, got, v.Limits[0].Policy, used, answered)
		}
	}
	return used
}
