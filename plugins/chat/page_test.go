package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/sdktest"
)

func get(t *testing.T, i *sdktest.Instance, path string) (status int, body string, header http.Header) {
	t.Helper()
	r, err := http.Get("http://" + i.Addr("clients") + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close() //nolint:errcheck // of a test
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b), r.Header
}

// What people say is text on the page of a room, whatever it looks like; changes are shown where they belong.
func TestPage(t *testing.T) {
	i := startChat(t, sdktest.Options{})
	i.Verb("create", "room", "general")
	i.Verb("create", "room", "random")
	i.Verb("send", "general", `<script>alert("1")</script>`, "--as", "<i>eve")
	i.Verb("send", "general", "two")
	i.Verb("send", "general", "three")
	i.Verb("edit", "general", "2", "two, better")
	i.Verb("delete", "general", "3")
	_, body, header := get(t, i, "/rooms/general")
	for _, want := range []string{
		`<a href="/rooms/general" aria-current="page">general</a>`, `<a href="/rooms/random">random</a>`,
		`<b>&lt;i&gt;eve</b>`, `<p>&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;</p>`,
		`<li data-offset="2" class="edited">`, `<p>two, better</p>`, `<li data-offset="3" class="deleted">`, `<p>(deleted)</p>`, `data-offset="5"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if n := strings.Count(body, "<li data-offset"); n != 3 || strings.Contains(body, "three") {
		t.Errorf("%d messages, want 3, and nothing of the deleted one:\n%s", n, body)
	}
	if p := header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || !strings.Contains(p, "frame-ancestors 'none'") {
		t.Errorf("its policy is %q", p)
	}
	if kind := header.Get("X-Content-Type-Options"); kind != "nosniff" {
		t.Errorf("browsers may take it for something else: %q", kind)
	}
	if _, body, _ := get(t, i, "/rooms/no<b>"); !strings.Contains(body, "There is no room no&lt;b&gt;.") || !strings.Contains(body, `<a href="/rooms/random">random</a>`) {
		t.Errorf("a room that is not there has no page that leads to the others:\n%s", body)
	}
	for path, want := range map[string]int{"/": 200, "/rooms/random": 200, "/rooms/nosuch": 404, "/nosuch": 404, "/assets/chat.js": 200, "/assets/nosuch": 404} {
		if status, _, _ := get(t, i, path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

// A page begins with the newest messages, and offers the earlier ones.
func TestPageOfALongHistory(t *testing.T) {
	i := startChat(t, sdktest.Options{})
	i.Verb("create", "room", "general")
	for n := range 60 {
		i.Verb("send", "general", fmt.Sprint("message ", n+1))
	}
	_, body, _ := get(t, i, "/rooms/general")
	if n := strings.Count(body, "<li data-offset"); n != 50 || !strings.Contains(body, "message 11<") || !strings.Contains(body, "message 60<") {
		t.Errorf("%d messages, want 11 to 60", n)
	}
	if !strings.Contains(body, `<button id="earlier" type="button">`) {
		t.Error("the earlier ones are not offered")
	}
}

// A chat that is not open shows what is said, and which rooms there are, to those only who have a token.
func TestPageOfAClosedChat(t *testing.T) {
	i := startChat(t, sdktest.Options{Config: tokens})
	i.Verb("create", "room", "general")
	i.Verb("send", "general", "secret")
	for _, path := range []string{"/", "/rooms/general", "/rooms/nosuch"} {
		status, body, _ := get(t, i, path)
		if status != 200 || strings.Contains(body, "secret") || strings.Contains(body, `href="/rooms/`) || !strings.Contains(body, `name="token"`) {
			t.Errorf("%s: %d\n%s", path, status, body)
		}
	}
}
