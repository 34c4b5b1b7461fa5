package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/sdktest"
)

func start(t *testing.T, o sdktest.Options) *sdktest.Instance {
	t.Helper()
	return sdktest.Start(t, sdk.Service{Name: "visits", Version: "1.0.0", Setup: setup}, o)
}

func TestHTTP(t *testing.T) {
	s := start(t, sdktest.Options{})
	long := strings.Repeat("x", maxUser)
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"a user who never came", "GET", "/visits/ada", "", 404, `{"error":"unknown user"}`},
		{"the first visit", "POST", "/visits/ada", "", 200, `{"user":"ada","count":1}`},
		{"the second visit", "POST", "/visits/ada", "", 200, `{"user":"ada","count":2}`},
		{"reading does not count", "GET", "/visits/ada", "", 200, `{"user":"ada","count":2}`},
		{"a name with a slash and a space", "POST", "/visits/a%2Fb%20c", "", 200, `{"user":"a/b c","count":1}`},
		{"the longest name", "POST", "/visits/" + long, "", 200, `{"user":"` + long + `","count":1}`},
		{
			"a name too long", "POST", "/visits/" + long + "x", "", 400,
			`{"error":"a user's name has 1 to 64 bytes of UTF-8 without control characters"}`,
		},
		{
			"a name that is not UTF-8", "POST", "/visits/%ff", "", 400,
			`{"error":"a user's name has 1 to 64 bytes of UTF-8 without control characters"}`,
		},
		{
			"a line feed in a name", "POST", "/visits/a%0Ab", "", 400,
			`{"error":"a user's name has 1 to 64 bytes of UTF-8 without control characters"}`,
		},
		{"many at once", "POST", "/visits", "ada\nbob\nada\n", 200, `{"visits":3}`},
		{"many, without the last line feed", "POST", "/visits", "bob", 200, `{"visits":1}`},
		{
			"many with a bad line count none", "POST", "/visits", "ada\n\nbob\n", 400,
			`{"error":"line 2: a user's name has 1 to 64 bytes of UTF-8 without control characters"}`,
		},
		{
			"nobody at once", "POST", "/visits", "", 400,
			`{"error":"line 1: a user's name has 1 to 64 bytes of UTF-8 without control characters"}`,
		},
		{
			"too many at once", "POST", "/visits", strings.Repeat("ada\n", maxBulk/4+1), 413,
			`{"error":"http: request body too large"}`,
		},
		{"all of them were counted", "GET", "/visits/ada", "", 200, `{"user":"ada","count":4}`},
		{"a wrong method", "DELETE", "/visits/ada", "", 405, `{"error":"allowed here: GET, HEAD, POST"}`},
		{"a wrong method for many", "GET", "/visits", "", 405, `{"error":"allowed here: POST"}`},
		{"no such page", "GET", "/", "", 404, `{"error":"no such page, try /visits/USER"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body := do(t, c.method, "http://"+s.Addr("http")+c.path, c.body)
			if status != c.status || strings.TrimSpace(body) != c.want {
				t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, status, body, c.status, c.want)
			}
		})
	}
}

func do(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	status, text, header := sdktest.Request(t, method, url, body)
	if got := header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	return status, text
}

func TestVerbs(t *testing.T) {
	s := start(t, sdktest.Options{})
	for _, c := range []struct{ call, want string }{
		{"hit ada", "user=ada count=1"},
		{"hit ada", "user=ada count=2"},
		{"hit cy", "user=cy count=1"},
		{"hit bob", "user=bob count=1"},
		{"get ada", "user=ada count=2"},
		{"top", "user=ada count=2\nuser=bob count=1\nuser=cy count=1"},
		{"top 2", "user=ada count=2\nuser=bob count=1"},
	} {
		words := strings.Fields(c.call)
		if got := s.Verb(words[0], words[1:]...); got != c.want {
			t.Errorf("%s: %q, want %q", c.call, got, c.want)
		}
	}
	for _, call := range []string{"get nobody", "get", "hit", "hit a b", "top x", "top 0", "top -1", "top 1001", "top 1 2"} {
		words := strings.Fields(call)
		if s.VerbError(words[0], words[1:]...) == nil {
			t.Errorf("%s succeeded", call)
		}
	}
}

func TestTopOfMany(t *testing.T) {
	s := start(t, sdktest.Options{})
	var list strings.Builder
	for i := range 100 {
		list.WriteString(strings.Repeat(fmt.Sprintf("u%03d\n", i), i+1))
	}
	do(t, "POST", "http://"+s.Addr("http")+"/visits", list.String())
	lines := strings.Split(s.Verb("top", "3"), "\n")
	if want := []string{"user=u099 count=100", "user=u098 count=99", "user=u097 count=98"}; strings.Join(lines, ",") != strings.Join(want, ",") {
		t.Errorf("top 3: %q", lines)
	}
}

func TestCountsOutliveTheProcess(t *testing.T) {
	s := start(t, sdktest.Options{})
	s.Verb("hit", "ada")
	s.Stop()
	s = start(t, sdktest.Options{StateDir: s.StateDir()})
	if got := s.Verb("hit", "ada"); got != "user=ada count=2" {
		t.Errorf("after a restart: %s", got)
	}
}

func TestCheck(t *testing.T) {
	if check("ada", Visit{Count: 1}) != nil || check("ada", Visit{}) == nil {
		t.Error("a row has at least one visit")
	}
}
