// Command visits counts who comes by: over HTTP, and as verbs on the command line. It is the service to read first.
//
//	curl -X POST localhost:8081/visits/ada      {"user":"ada","count":1,"last_seen":"2026-03-01T12:00:00Z"}
//	visits hit ada                              user=ada count=2 last_seen=2026-03-01T12:00:01Z
//
// The counts live in the state log: they outlive a crash, and an upgrade takes them along. This version also knows
// when each user came last; compare it with v1.0.0 to see what that takes.
//
// It is bad on purpose: a few seconds after it began to serve, it calls itself unhealthy. In a probation that is
// enough to bring the version before it back.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/state"
)

const (
	maxUser = 64      // bytes of a name
	maxBulk = 1 << 20 // bytes of a list of visits
	maxTop  = 1000    // lines of a ranking

	healthyFor = 3 * time.Second
)

// Visit is a row of the table; its key is the user's name.
type Visit struct {
	Count    int64     `json:"count"`
	LastSeen time.Time `json:"last_seen"`
}

// never is when those came last whom only 1.0.0 has seen.
var never = time.Unix(0, 0).UTC()

// A row of version 1 gets a last_seen on its way up and loses it on its way down, where it is kept beside the row:
// going down and up again brings it back.
var schema = state.Schema[Visit]{Name: "visit", Version: 2, Check: check, Steps: []state.AnyStep{
	state.Add{From: 1, Fields: map[string]any{"last_seen": never}},
}}

// check is asked about every row before a version may serve.
func check(user string, v Visit) error {
	if v.Count < 1 {
		return fmt.Errorf("%q has a count of %d", user, v.Count)
	}
	return nil
}

func main() { sdk.Main(sdk.Service{Name: "visits", Version: "2.0.1-bad", Setup: setup}) }

func setup(s *sdk.Setup) error {
	v := visits{state.NewTable(s, "visits", schema), new(atomic.Bool)}
	s.Go(v.spoil)
	s.Health(v.health)
	s.HTTPServer("http", &http.Server{Handler: v.routes(), ReadHeaderTimeout: 10 * time.Second})
	s.Verb(sdk.Verb{Name: "hit", Args: "USER", Short: "Count a visit", Run: verb(v.hit)})
	s.Verb(sdk.Verb{Name: "get", Args: "USER", Short: "Show a user's visits", Run: verb(v.get)})
	s.Verb(sdk.Verb{Name: "top", Args: "[N]", Short: "List the users who came most often", Run: v.topVerb})
	return nil
}

type visits struct {
	rows    *state.Table[Visit]
	spoiled *atomic.Bool
}

// spoil runs while this version serves.
func (v visits) spoil(ctx context.Context) error {
	select {
	case <-time.After(healthyFor):
		v.spoiled.Store(true)
	case <-ctx.Done():
	}
	return nil
}

func (v visits) health(context.Context) error {
	if v.spoiled.Load() {
		return errors.New("this version is bad on purpose")
	}
	return nil
}

// hit counts one visit; it is in the log when hit returns.
func (v visits) hit(user string) (answer, error) {
	row, err := v.rows.Update(user, func(row Visit, _ bool) (Visit, error) {
		row.Count++
		row.LastSeen = time.Now().UTC().Truncate(time.Second)
		return row, nil
	})
	return answer{user, row.Count, row.LastSeen}, err
}

var errUnknown = errors.New("unknown user")

func (v visits) get(user string) (answer, error) {
	row, ok, err := v.rows.Lookup(user)
	if err == nil && !ok {
		err = errUnknown
	}
	return answer{user, row.Count, row.LastSeen}, err
}

// top lists the n users who came most often, equals by name.
func (v visits) top(n int) (best []answer, err error) {
	err = v.rows.Range(func(user string, row Visit) bool {
		a := answer{user, row.Count, row.LastSeen}
		if i, _ := slices.BinarySearchFunc(best, a, answer.order); i < n {
			best = slices.Insert(best, i, a)
			best = best[:min(n, len(best))]
		}
		return true
	})
	return best, err
}

// answer is what the outside sees of a row.
type answer struct {
	User     string    `json:"user"`
	Count    int64     `json:"count"`
	LastSeen time.Time `json:"last_seen"`
}

func (a answer) String() string {
	return fmt.Sprintf("user=%s count=%d last_seen=%s", a.User, a.Count, a.LastSeen.Format(time.RFC3339))
}

func (a answer) order(b answer) int {
	return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.User, b.User))
}

func checkUser(user string) error {
	if user == "" || len(user) > maxUser || !utf8.ValidString(user) || strings.ContainsFunc(user, unicode.IsControl) {
		return fmt.Errorf("a user's name has 1 to %d bytes of UTF-8 without control characters", maxUser)
	}
	return nil
}

// Verbs.

func verb(run func(user string) (answer, error)) func(context.Context, []string) (string, error) {
	return func(_ context.Context, args []string) (string, error) {
		if err := checkUser(args[0]); err != nil {
			return "", sdk.Usagef("%v", err)
		}
		a, err := run(args[0])
		return a.String(), err
	}
}

func (v visits) topVerb(_ context.Context, args []string) (string, error) {
	n, err := strconv.Atoi(append(args, "10")[0])
	if err != nil || n < 1 || n > maxTop {
		return "", sdk.Usagef("N is a number from 1 to %d", maxTop)
	}
	best, err := v.top(n)
	lines := make([]string, len(best))
	for i, a := range best {
		lines[i] = a.String()
	}
	return strings.Join(lines, "\n"), err
}

// HTTP.

func (v visits) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /visits/{user}", forUser(v.get))
	mux.HandleFunc("POST /visits/{user}", forUser(v.hit))
	mux.HandleFunc("POST /visits", v.bulk)
	mux.HandleFunc("/visits/{user}", only("GET, HEAD, POST"))
	mux.HandleFunc("/visits", only("POST"))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, errors.New("no such page, try /visits/USER"))
	})
	return mux
}

func forUser(run func(user string) (answer, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user := r.PathValue("user")
		if err := checkUser(user); err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		a, err := run(user)
		switch {
		case errors.Is(err, errUnknown):
			fail(w, http.StatusNotFound, err)
		case err != nil:
			fail(w, http.StatusServiceUnavailable, err)
		default:
			reply(w, http.StatusOK, a)
		}
	}
}

// bulk counts many visits, one user a line. If a line is bad it counts none; when it answers, all are in the log.
func (v visits) bulk(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBulk))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, err)
		return
	}
	users := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	for i, user := range users {
		if err := checkUser(user); err != nil {
			fail(w, http.StatusBadRequest, fmt.Errorf("line %d: %w", i+1, err))
			return
		}
	}
	for i, user := range users {
		if _, err := v.hit(user); err != nil {
			fail(w, http.StatusServiceUnavailable, fmt.Errorf("only %d visits were counted: %w", i, err))
			return
		}
	}
	reply(w, http.StatusOK, map[string]int{"visits": len(users)})
}

func only(methods string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", methods)
		fail(w, http.StatusMethodNotAllowed, errors.New("allowed here: "+methods))
	}
}

func fail(w http.ResponseWriter, status int, err error) {
	reply(w, status, map[string]string{"error": err.Error()})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}
