package main

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/sdktest"
)

func TestProgramsPublishOverHTTP(t *testing.T) {
	i := startWithRoom(t, `{"api_key": "key"}`)
	for _, tt := range []struct {
		name, key, path, body string
		status                int
		want                  string
	}{
		{"a message", "key", "publish", `{"channel":"general","data":{"text":"hi"},"user":"bot","idempotency_key":"1"}`, 200, `{"result":{"offset":1,`},
		{"the same again", "key", "publish", `{"channel":"general","data":{"text":"hi"},"user":"bot","idempotency_key":"1"}`, 200, `{"result":{"offset":1,`},
		{"the history", "key", "history", `{"channel":"general","limit":10}`, 200, `"publications":[{"offset":1,"data":{"text":"hi"},"user":"bot"`},
		{"who is there", "key", "presence", `{"channel":"general"}`, 200, `{"result":{"presence":{}}}`},
		{"the rooms", "key", "channels", `{}`, 200, `"general":{"num_clients":0}`},
		{"another key", "other", "publish", `{"channel":"general","data":1}`, 401, `"code":101`},
		{"no key", "", "publish", `{"channel":"general","data":1}`, 401, `"code":101`},
		{"an unknown room", "key", "publish", `{"channel":"nowhere","data":1}`, 200, `"code":102`},
		{"no data", "key", "publish", `{"channel":"general"}`, 200, `"code":107`},
		{"a forged deletion", "key", "publish", `{"channel":"general","data":{"type":"delete","offset":1}}`, 200, `"code":107`},
		{"a forged notice", "key", "publish", `{"channel":"general","data":{"type":"notice","text":"x"}}`, 200, `"code":107`},
		{"no JSON", "key", "publish", `{`, 200, `"code":107`},
		{"a message by nobody", "key", "publish", `{"channel":"general","data":1,"user":""}`, 200, `{"error":{"code":107,"message":"bad request: \"\": the name of a user`},
		{"a message by what is no name", "key", "publish", `{"channel":"general","data":1,"user":"a\nb"}`, 200, `the name of a user has 1 to 64`},
		{"a long id", "key", "publish", `{"channel":"general","data":1,"idempotency_key":"` + strings.Repeat("x", 129) + `"}`, 200, `the id of a message has 1 to 128 bytes`},
		{"an unknown key of publish", "key", "publish", `{"channel":"general","data":1,"skip_history":true}`, 200, `unknown field \"skip_history\"`},
		{"an unknown key of history", "key", "history", `{"channel":"general","revers":true}`, 200, `{"error":{"code":107,"message":"bad request: the body: unknown field \"revers\""}}`},
		{"a key of another method", "key", "presence", `{"channel":"general","limit":1}`, 200, `unknown field \"limit\"`},
		{"an unknown key of channels", "key", "channels", `{"pattern":"x"}`, 200, `unknown field \"pattern\"`},
		{"a number that is none", "key", "history", `{"channel":"general","limit":"x"}`, 200, `field \"limit\" takes no string`},
		{"nothing", "key", "channels", ``, 200, `the body: it is empty`},
		{"an unknown key within", "key", "history", `{"channel":"general","since":{"ofset":1}}`, 200, `unknown field \"ofset\"`},
		{"less than all", "key", "history", `{"channel":"general","limit":-2}`, 200, `{"error":{"code":107,"message":"bad request: limit takes a whole`},
		{"too much", "key", "publish", `{"data":"` + strings.Repeat("x", 70_000), 200, `"code":107`},
		{"another epoch", "key", "history", `{"channel":"general","since":{"epoch":"x"}}`, 200, `"code":112`},
		{"no method", "key", "fly", `{}`, 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if status, body := call(t, i, tt.key, tt.path, tt.body); status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("got %d %s", status, body)
			}
		})
	}
	if got := i.Verb("history", "general"); got != "1 [general] bot: hi" {
		t.Errorf("got %s", got)
	}
}

// What programs said with "ephemeral" was kept, and nothing in the history over HTTP told that a message had been changed.
func TestProgramsSayAndReadWhatClientsDo(t *testing.T) {
	i := startWithRoom(t, `{"api_key": "key"}`)
	c := as(t, i, kinds[0], "")
	c.subscribe("general")
	for _, text := range []string{"1", "2", "3"} {
		call(t, i, "key", "publish", `{"channel":"general","data":`+text+`}`)
		c.must()
	}
	_, got := call(t, i, "key", "publish", `{"channel":"general","data":{"ephemeral":true,"type":"typing"},"idempotency_key":"1"}`)
	if !strings.HasPrefix(got, `{"result":{"epoch":"`) {
		t.Errorf("publish: got %s", got)
	}
	c.hears(0, `{"ephemeral":true,"type":"typing"}`)
	i.Verb("edit", "general", "1", "one")
	i.Verb("delete", "general", "2")
	_, got = call(t, i, "key", "history", `{"channel":"general","limit":3}`)
	if got = regexp.MustCompile(`"(epoch|at)":"[^"]*",?`).ReplaceAllString(got, ""); got != `{"result":{"offset":5,"publications":[`+
		`{"offset":1,"data":{"text":"one"},"user":"api","tags":{"edited":"true"}},`+
		`{"offset":2,"data":{},"user":"api","tags":{"deleted":"true"}},{"offset":3,"data":3,"user":"api",}]}}`+"\n" {
		t.Errorf("history: got %s", got)
	}
}

// call calls a method of the HTTP interface.
func call(t *testing.T, i *sdktest.Instance, key, method, body string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+i.Addr("clients")+"/api/"+method, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", key)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// The history over HTTP went forwards whatever was asked for.
func TestHistoryOverHTTPGoesBothWays(t *testing.T) {
	i := startWithRoom(t, `{"api_key": "key"}`)
	for _, text := range []string{"1", "2", "3", "4"} {
		call(t, i, "key", "publish", `{"channel":"general","data":`+text+`}`)
	}
	for _, tt := range []struct {
		body string
		want []int
	}{
		{`{"channel":"general"}`, nil},
		{`{"channel":"general","reverse":true}`, nil},
		{`{"channel":"general","limit":2}`, []int{1, 2}},
		{`{"channel":"general","limit":-1}`, []int{1, 2, 3, 4}},
		{`{"channel":"general","limit":2,"since":{"offset":2}}`, []int{3, 4}},
		{`{"channel":"general","limit":2,"since":{"offset":4}}`, nil},
		{`{"channel":"general","limit":2,"since":{"offset":18446744073709551615}}`, nil},
		{`{"channel":"general","limit":2,"reverse":true}`, []int{4, 3}},
		{`{"channel":"general","limit":2,"reverse":true,"since":{"offset":3}}`, []int{2, 1}},
		{`{"channel":"general","limit":2,"reverse":true,"since":{"offset":1}}`, nil},
		{`{"channel":"general","limit":2,"reverse":true,"since":{"offset":18446744073709551615}}`, []int{4, 3}},
	} {
		_, text := call(t, i, "key", "history", tt.body)
		var answer struct {
			Result struct {
				Publications []struct {
					Offset int
					User   string
				}
				Offset int
			}
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil || answer.Result.Offset != 4 {
			t.Errorf("%s: got %s (%v)", tt.body, text, err)
		}
		var got []int
		for _, p := range answer.Result.Publications {
			if got = append(got, p.Offset); p.User != "api" {
				t.Errorf("%s: said by %q", tt.body, p.User)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v", tt.body, got)
		}
	}
}
