package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/web"
)

var service = sdk.Service{Name: "ratelimit", Version: version, Setup: setup}

// policyText are limits that do not come back while a test runs.
const policyText = `
[[policy]]
name  = "api"
limit = 20
per   = "1000h"

[[policy]]
name      = "day"
algorithm = "quota"
limit     = 30
per       = "8000h"

[[policy]]
name      = "login"
algorithm = "sliding_window"
limit     = 25
per       = "8000h"

[[policy]]
name      = "jobs"
algorithm = "concurrency"
limit     = 2
lease     = "1h"

[[policy]]
name    = "trial"
limit   = 1
per     = "1000h"
dry_run = true
`

// startWith starts the service with a file of policies.
func startWith(t testing.TB, text string) *sdktest.Instance {
	t.Helper()
	return sdktest.Start(t, service, options(fileWith(t, text), ""))
}

func fileWith(t testing.TB, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "policies.toml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func options(path, state string) sdktest.Options {
	return sdktest.Options{StateDir: state, Config: fmt.Sprintf(`{"policies":%q}`, path)}
}

func TestTheWordsOfTheCommandLine(t *testing.T) {
	i := startWith(t, policyText)
	for _, step := range []struct{ line, want string }{
		{"check user42", "allowed (remaining=9)"},
		{"check user42 --cost 3", "allowed (remaining=6)"},
		{"check user42 --dry-run", "allowed (remaining=5)"},
		{"peek user42", "default: remaining=6 limit=10 reset=48s"},
		{"refund user42 --cost 2", "ok"},
		{"check user42 --cost 8", "allowed (remaining=0)"},
		{"check user42", "!blocked (retry_in=12s)"},
		{"check user42 --cost 11", "!blocked (never: it costs 11, the limit is 10)"},
		{"reset user42", "ok"},
		{"check user42", "allowed (remaining=9)"},
		{"check x --policy api,login --cost 20", "allowed (remaining=0)"},
		{"check x --policy api,day --cost 2", "!"},
		{"peek x --policy login", "login: remaining=5 limit=25"},
		{"peek x --policy day", "day: remaining=30 limit=30 reset=0s"},
		{"check y --policy trial --cost 1", "allowed (remaining=0)"},
		{"check y --policy trial --cost 1", "allowed (remaining=0)"},
		{"top", "2 default user42\n1 api x\n1 trial y"},
		{"remove api", "!no policy of that name"},
		{"apply api --limit 1 --per 1h", "ok"},
		{"check z --policy api", "allowed (remaining=0)"},
		{"remove api", "ok"},
		{"check z --policy api", "allowed (remaining=18)"},
		{"check z --policy none", "!there is no policy \"none\""},
		{"check z --cost -1", "!--cost -1: want a number, 0 or more"},
		{"check " + strings.Repeat("k", maxKey+1), "!a key has 1 to 1024 bytes"},
		{"apply api --limit 0 --per 1h", "!limit: 0 is not between"},
		{"apply API --limit 1 --per 1h", "!name: "},
		{"apply jobs --algorithm concurrency --limit 1 --per 1h", "!per: a concurrency limit has none"},
		{"release k --policy jobs --lease zz", "!--lease: want the number"},
		{"release k --policy jobs --lease 1f", "!there is no such lease"},
		{"release k --policy api --lease 1f", "!only a concurrency limit has leases"},
		{"refund k --policy jobs", "!a concurrency limit is given back by its lease"},
	} {
		want, fails := strings.CutPrefix(step.want, "!")
		words := strings.Fields(step.line)
		var got string
		if fails {
			got = i.VerbFails(words[0], words[1:]...)
			if got == "" {
				got = i.VerbError(words[0], words[1:]...).Error()
			}
		} else {
			got = i.Verb(words[0], words[1:]...)
		}
		if !strings.HasPrefix(got, want) {
			t.Fatalf("%s: got %q, want %q", step.line, got, want)
		}
	}
}

func TestLeasesOnTheCommandLine(t *testing.T) {
	i := startWith(t, policyText)
	lease := func(said string) string {
		_, rest, _ := strings.Cut(said, "lease=")
		return strings.TrimSuffix(rest, ")")
	}
	one := lease(i.Verb("check", "build", "--policy", "jobs"))
	i.Verb("check", "build", "--policy", "jobs")
	if got := i.VerbFails("check", "build", "--policy", "jobs"); got != "blocked (retry_in=3600s)" {
		t.Error(got)
	}
	i.Verb("renew", "build", "--policy", "jobs", "--lease", one)
	i.Verb("release", "build", "--policy", "jobs", "--lease", one)
	if got := i.Verb("check", "build", "--policy", "jobs"); !strings.HasPrefix(got, "allowed (remaining=0 lease=") {
		t.Error(got)
	}
}

func TestHTTP(t *testing.T) {
	i := startWith(t, policyText)
	url := "http://" + i.Addr("http")
	for _, step := range []struct {
		method, path, body, want string
		status                   int
	}{
		{"POST", "/check/u?policy=api&cost=19", "", `"remaining":1`, 200},
		{"GET", "/check/u?policy=api", "", `"allowed":true`, 200},
		{"POST", "/check/u?policy=api&cost=2", "", `"allowed":false`, 429},
		{"POST", "/check", `{"limits":[{"policy":"api","key":"u"},{"policy":"day","key":"u","cost":31}]}`, `"remaining":1`, 429},
		{"POST", "/check", `{"limits":[{"policy":"api","key":"u"},{"policy":"api","key":"u"}]}`, `"allowed":false`, 429},
		{"POST", "/check", `{"limits":[{"policy":"api","key":"u"},{"policy":"day","key":"u"}]}`, `"allowed":true`, 200},
		{"POST", "/refund/u?policy=api&cost=5", "", "", 204},
		{"DELETE", "/check/u?policy=api", "", "", 204},
		{"PUT", "/policies/own", `{"limit":2,"per":"1h"}`, "", 204},
		{"GET", "/policies", "", `{"name":"own","algorithm":"gcra","limit":2,"per":"1h0m0s","source":"api"}`, 200},
		{"DELETE", "/policies/own", "", "", 204},
		{"DELETE", "/policies/own", "", "no policy of that name", 404},
		{"GET", "/top", "", `"policy":"api"`, 200},
		{"POST", "/check/u?policy=none", "", `there is no policy`, 404},
		{"POST", "/check/u?cost=-1", "", `the cost is negative`, 400},
		{"POST", "/check/u?policy=" + strings.Repeat("api,", maxAsks) + "api", "", `a call names 1 to 32 limits`, 400},
		{"POST", "/check", `{"limits":[` + strings.Repeat(`{"key":"u"},`, maxAsks) + `{"key":"u"}]}`, `a call names 1 to 32 limits`, 400},
		{"POST", "/check/u?cost=x", "", `want a number`, 400},
		{"POST", "/check", `{"limits":[]}`, `a call names 1 to 32 limits`, 400},
		{"POST", "/check", `{"limit":1}`, `unknown field`, 400},
		{"POST", "/check", `{`, `the body`, 400},
		{"POST", "/check", `{"limits":"` + strings.Repeat("x", web.MaxBody) + `"}`, `the body`, 400},
		{"POST", "/check/" + strings.Repeat("k", maxKey+1), "", `a key has`, 400},
		{"PUT", "/policies/own", `{"limit":-2,"per":"1h"}`, "limit: -2", 400},
		{"PUT", "/leases/u/1f?policy=jobs", "", "no such lease", 404},
		{"DELETE", "/leases/u/zz?policy=jobs", "", "no such lease", 404},
		{"GET", "/nothing", "", "try POST /check/KEY", 404},
	} {
		status, body, _ := sdktest.Request(t, step.method, url+step.path, step.body)
		if status != step.status || !strings.Contains(body, step.want) {
			t.Errorf("%s %.80s: got %d %s, want %d %s", step.method, step.path, status, body, step.status, step.want)
		}
	}
}

// A form of several parts was read to its end and lay in files meanwhile, for calls that have no body at all.
func TestABodyIsNotReadWhereNoneIsNeeded(t *testing.T) {
	i := startWith(t, policyText)
	const size = 64 << 20
	for _, path := range []string{"/check/u", "/refund/u"} {
		read := &counted{Reader: io.MultiReader(
			strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n"), io.LimitReader(zeroes{}, size),
			strings.NewReader("\r\n--b--\r\n"),
		)}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+i.Addr("http")+path, read)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		if res, err := http.DefaultClient.Do(r); err == nil { // the connection may end before the answer is read
			_ = res.Body.Close()
		}
		if n := read.n.Load(); n > size/2 {
			t.Errorf("%s: %d bytes of a body were taken", path, n)
		}
	}
}

type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// counted counts what is read.
type counted struct {
	io.Reader
	n atomic.Int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// Any page that was open in a browser on the machine could give back what a key has used.
func TestAPageOfAnotherSiteChangesNothing(t *testing.T) {
	i := startWith(t, policyText)
	i.Verb("check", "u")
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Origin: https://page.example"} {
		for _, path := range []string{"/refund/u", "/check/u"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+i.Addr("http")+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			name, value, _ := strings.Cut(header, ": ")
			r.Header.Set(name, value)
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("%s with %s: %s", path, header, res.Status)
			}
		}
	}
	if got := remaining(t, i, "default", "u"); got != 9 {
		t.Errorf("%d are left, want 9", got)
	}
}

func TestHeadersOfHTTP(t *testing.T) {
	i := startWith(t, policyText)
	url := "http://" + i.Addr("http") + "/check/u"
	_, _, h := sdktest.Request(t, "POST", url, "")
	if got := h.Get("RateLimit-Policy") + " " + h.Get("RateLimit") + h.Get("Retry-After"); got != `"default";q=10;w=120 "default";r=9;t=12` {
		t.Error(got)
	}
	_, _, h = sdktest.Request(t, "POST", url+"?cost=10", "")
	if got := h.Get("Retry-After"); got != "12" {
		t.Error(got)
	}
	_, _, h = sdktest.Request(t, "POST", url+"?policy=default,jobs", "")
	if got := h.Get("RateLimit-Policy"); got != `"default";q=10;w=120, "jobs";q=2` {
		t.Error(got)
	}
}

func TestThrottleOverRESP(t *testing.T) {
	i := startWith(t, policyText)
	for _, step := range []struct{ line, want string }{
		{"PING", "+PONG"},
		{"CL.THROTTLE u 9 10 60", "*5 :0 :10 :9 :-1 :6"},
		{"cl.throttle u 9 10 60 9", "*5 :0 :10 :0 :-1 :60"},
		{"CL.THROTTLE u 9 10 60", "*5 :1 :10 :0 :6 :60"},
		{"CL.THROTTLE u 9 10 60 0", "*5 :0 :10 :0 :-1 :60"},
		{"CL.THROTTLE u 9 10 60 11", "*5 :1 :10 :0 :-1 :60"},
		{"CL.THROTTLE u 0 1 1", "*5 :1 :1 :0 :1 :1"},
		{"RL.CHECK api u 20", "*5 :0 :20 :0 :-1 :3600000"},
		{"RL.CHECK none u", "-ERR there is no policy \"none\""},
		{"RL.CHECK api", "-ERR wrong number of arguments"},
		{"CL.THROTTLE u 9 10", "-ERR wrong number of arguments"},
		{"CL.THROTTLE u x 10 60", "-ERR value is not an integer"},
		{"CL.THROTTLE u 9223372036854775807 10 60", "-ERR value is not an integer"},
		{"CL.THROTTLE u 9 0 60", "-ERR limit: 0 is not between"},
		{"CL.THROTTLE u -1 1 60", "-ERR max_burst is 0 or more"},
		{"CL.THROTTLE u 9 10 -60", "-ERR max_burst is 0 or more"},
		{"CL.THROTTLE u 9 10 60 -1", "-ERR the cost is negative"},
		{"CL.THROTTLE " + strings.Repeat("k", maxKey+1) + " 9 10 60", "-ERR a key has 1 to 1024 bytes"},
		{"GET a", "-ERR unknown command 'GET'"},
		{"HELLO 3", "%3 $6 server $9 ratelimit $7 version $5 1.0.0 $5 proto :3"},
		{"HELLO 9", "-NOPROTO"},
	} {
		if got := overRESP(t, i.Addr("resp"), strings.Fields(step.line)...); !strings.HasPrefix(got, step.want) {
			t.Errorf("%.60s: got %q, want %q", step.line, got, step.want)
		}
	}
}

// overRESP sends one command over a connection of its own and returns the lines of the answer.
func overRESP(t testing.TB, addr string, words ...string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(c, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := io.WriteString(c, "*1\r\n$4\r\nQUIT\r\n"); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for s := bufio.NewScanner(c); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return strings.Join(lines[:len(lines)-1], " ")
}

// A flood of keys that are all refused leaves a bounded memory of them.
func TestAFloodOfKeysIsForgotten(t *testing.T) {
	var b blocked
	for n := range 10 * maxBlocked {
		b.add([2]string{"api", strconv.Itoa(n)})
		b.add([2]string{"api", "often"})
	}
	if len(b.count) > maxBlocked {
		t.Errorf("%d keys", len(b.count))
	}
	if top := b.top(1); top[0].Key != "often" {
		t.Error(top)
	}
}

func remaining(t testing.TB, i *sdktest.Instance, policy, key string) int64 {
	t.Helper()
	var v view
	if err := json.Unmarshal([]byte(i.Verb("peek", key, "--policy", policy, "--json")), &v); err != nil {
		t.Fatal(err)
	}
	return v.Limits[0].Remaining
}
