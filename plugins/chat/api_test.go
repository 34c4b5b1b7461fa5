package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
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
		{"too much", "key", "publish", `{"data":"` + strings.Repeat("x", 70_000), 200, `"code":107`},
		{"another epoch", "key", "history", `{"channel":"general","since":{"epoch":"x"}}`, 200, `"code":112`},
		{"no method", "key", "fly", `{}`, 404, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+i.Addr("clients")+"/api/"+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-API-Key", tt.key)
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != tt.status || !strings.Contains(string(b), tt.want) {
				t.Errorf("got %s %s (%v)", resp.Status, b, err)
			}
		})
	}
	if got := i.Verb("history", "general"); got != "1 [general] bot: hi" {
		t.Errorf("got %s", got)
	}
}
