package web_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/web"
)

func serve(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Name string `json:"name"`
	}
	if err := web.Read(w, r, &in); err != nil {
		web.Fail(w, http.StatusBadRequest, err.Error())
		return
	}
	web.Reply(w, http.StatusOK, map[string]string{"hello": in.Name})
}

func ask(body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	serve(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)))
	return w
}

func Example() {
	fmt.Print(ask(`{"name":"ada"}`).Body)
	fmt.Print(ask(`{"nmae":"ada"}`).Body)
	// Output:
	// {"hello":"ada"}
	// {"error":"the body: unknown field \"nmae\""}
}

func TestABodyIsBounded(t *testing.T) {
	for body, want := range map[string]string{
		"":           "the body: it is empty",
		"[1]":        "the body: want an object, not array",
		`{"name":1}`: `the body: field \"name\" takes no number`,
		`{"name":"` + strings.Repeat("x", web.MaxBody) + `"}`: "the body: http: request body too large",
	} {
		if w := ask(body); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%.20q: %d %s, want %q", body, w.Code, w.Body, want)
		}
	}
	var body *web.BodyError
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{"))
	if err := web.Read(httptest.NewRecorder(), r, new(any)); !errors.As(err, &body) {
		t.Error(err)
	}
}
