// Command visits is the service of that name with a process for each user instead of a row: what a drill upgrades to see
// how long processes pause. It answers the same requests, and forgets its users when it crashes.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/otp"
	"github.com/theseusd/theseus/sdk/state"
)

// Visit is the state of a process.
type Visit struct {
	Count int64 `json:"count"`
}

// Hit counts a visit, Get does not.
type (
	Hit struct{ otp.Reply[Visit] }
	Get struct{ otp.Reply[Visit] }
)

func main() { sdk.Main(sdk.Service{Name: "visits", Version: "1.0.0", Setup: setup}) }

func setup(s *sdk.Setup) error {
	b := &otp.Behaviour[Visit]{Name: "visit", State: state.Schema[Visit]{Version: 1}}
	otp.OnCall(b, func(_ *otp.Ctx, v *Visit, _ Hit) (Visit, error) { v.Count++; return *v, nil })
	otp.OnCall(b, func(_ *otp.Ctx, v *Visit, _ Get) (Visit, error) { return *v, nil })
	v := visits{s.Node(otp.Options{Behaviours: []otp.AnyBehaviour{b}}), b}
	s.HTTP("http", v.routes())
	return nil
}

type visits struct {
	node *otp.Node
	b    *otp.Behaviour[Visit]
}

// hit calls the process of a user, which begins with the first visit.
func (v visits) hit(user string) (Visit, error) {
	for {
		now, err := otp.Call(v.node, otp.Name(user), Hit{})
		if !errors.Is(err, otp.ErrNoProc) {
			return now, err
		}
		if _, err := otp.Start(v.node, v.b, nil, otp.Named(otp.Name(user))); err != nil && !errors.Is(err, otp.ErrTaken) {
			return now, err
		}
	}
}

func (v visits) get(user string) (Visit, error) { return otp.Call(v.node, otp.Name(user), Get{}) }

type answer struct {
	User string `json:"user"`
	Visit
}

func (v visits) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /visits/{user}", forUser(v.get))
	mux.HandleFunc("POST /visits/{user}", forUser(v.hit))
	mux.HandleFunc("POST /visits", v.bulk)
	return mux
}

func forUser(run func(user string) (Visit, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user := r.PathValue("user")
		now, err := run(user)
		reply(w, err, answer{user, now})
	}
}

// bulk counts many visits, one user a line.
func (v visits) bulk(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	users := strings.Fields(string(body))
	for _, user := range users {
		if _, err := v.hit(user); err != nil {
			reply(w, err, nil)
			return
		}
	}
	reply(w, nil, map[string]int{"visits": len(users)})
}

func reply(w http.ResponseWriter, err error, body any) {
	switch {
	case errors.Is(err, otp.ErrNoProc):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body) // the client may be gone
	}
}
