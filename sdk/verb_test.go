package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestArity(t *testing.T) {
	for args, want := range map[string][2]int{
		"":                {0, 0},
		"USER":            {1, 1},
		"[N]":             {0, 1},
		"ROOM TEXT...":    {2, -1},
		"KEY [FROM [TO]]": {1, 3},
	} {
		least, most := Verb{Args: args}.arity()
		if least != want[0] || most != want[1] {
			t.Errorf("%q: %d..%d, want %d..%d", args, least, most, want[0], want[1])
		}
	}
}

func verbSetup(t *testing.T) *Setup {
	t.Helper()
	s := &Setup{service: Service{Name: "visits", Version: "1.0.0"}}
	s.Verb(Verb{Name: "get", Args: "USER", Run: func(_ context.Context, args []string) (string, error) {
		switch args[0] {
		case "nobody":
			return "", errors.New("no such user")
		case "?":
			return "", Usagef("a user has letters")
		}
		return args[0] + " 1", nil
	}})
	if err := errors.Join(s.errs...); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerbsOverHTTP(t *testing.T) {
	h := verbHandler(&Setup{service: Service{Name: "visits", Version: "1.0.0"}, verbs: verbSetup(t).verbs})
	for _, c := range []struct {
		name, path, body string
		status           int
		want             string
	}{
		{"a verb answers in plain text", "/verbs/get", `{"args":["ada"]}`, 200, "ada 1"},
		{"a verb that fails is no usage error", "/verbs/get", `{"args":["nobody"]}`, 422, "no such user"},
		{"too few arguments", "/verbs/get", `{"args":[]}`, 400, "get USER"},
		{"too many arguments", "/verbs/get", `{"args":["a","b"]}`, 400, "get USER"},
		{"the verb itself may call it a usage error", "/verbs/get", `{"args":["?"]}`, 400, "letters"},
		{"an unknown verb names service and version", "/verbs/fly", `{}`, 404, `visits 1.0.0 has no verb`},
		{"a body that is no JSON", "/verbs/get", `args`, 400, "body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, c.path, strings.NewReader(c.body)))
			text := w.Body.String()
			if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
				var e verbError
				if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
					t.Fatal(err)
				}
				text = e.Error + " " + e.Usage
			}
			if w.Code != c.status || !strings.Contains(text, c.want) {
				t.Errorf("%d %q, want %d with %q", w.Code, text, c.status, c.want)
			}
		})
	}
}

func TestVerbDeclarations(t *testing.T) {
	s := verbSetup(t)
	s.Verb(s.verbs[0])
	s.Verb(Verb{Name: "Get", Run: s.verbs[0].Run})
	s.Verb(Verb{Name: "idle"})
	if len(s.errs) != 3 || len(s.verbs) != 1 {
		t.Errorf("errors %v, verbs %d", s.errs, len(s.verbs))
	}
}

// The line above the usage used to say the usage.
func TestHowManyArgumentsAVerbTakes(t *testing.T) {
	for args, want := range map[string]string{
		"":          "do takes no arguments, not 4",
		"A":         "do takes 1 argument, not 4",
		"A B [C]":   "do takes 2 to 3 arguments, not 4",
		"A B":       "do takes 2 arguments, not 4",
		"A B C D E": "do takes 5 arguments, not 4",
	} {
		v := Verb{Name: "do", Args: args}
		if _, _, err := v.parse([]string{"1", "2", "3", "4"}); err == nil || err.Error() != want {
			t.Errorf("%s: got %v", args, err)
		}
	}
	if _, _, err := (Verb{Name: "do", Args: "A B..."}).parse(nil); err == nil || err.Error() != "do takes 2 arguments or more, not 0" {
		t.Errorf("got %v", err)
	}
}

// A pid was \u003c0.1.1\u003e in JSON.
func TestJSONOfAVerbIsLegible(t *testing.T) {
	v := Verb{Name: "do", Do: func(_ context.Context, c *Call) error { return c.JSON(map[string]string{"pid": "<0.1.1> & more"}) }}
	if got, err := v.call(t.Context(), nil); err != nil || got != `{"pid":"<0.1.1> & more"}` {
		t.Errorf("got %s, %v", got, err)
	}
}
