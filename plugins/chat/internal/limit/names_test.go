package limit

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Somebody called ".." was asked for above the address, where there is nothing: for a second after each of their messages everybody was
// limited here, which may be not at all.
func TestAnyUserIsAskedForByName(t *testing.T) {
	var asked struct {
		Limits []struct{ Key string } `json:"limits"`
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /check", func(_ http.ResponseWriter, r *http.Request) { _ = json.NewDecoder(r.Body).Decode(&asked) })
	service := httptest.NewServer(mux)
	defer service.Close()
	l := New(Rate{}, service.URL, "chat")
	for _, user := range []string{".", "..", "a/../b", "/", "//", "a?b#c", "%2e", "ü 你", "*", "a:b;c,d&e=f+g"} {
		if _, ok := l.Allow(t.Context(), user); !ok || len(asked.Limits) != 1 || asked.Limits[0].Key != user || !l.asks(time.Now()) {
			t.Errorf("%q is asked for as %v", user, asked.Limits)
		}
	}
}
