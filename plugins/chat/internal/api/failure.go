package api

import (
	"errors"
	"net/http"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk/web"
)

// failure is an error with its number and the status that goes with it.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	status  int
}

func (f *failure) Error() string { return f.Message }

var (
	errKey      = &failure{101, "unauthorized", http.StatusUnauthorized}
	errUnknown  = &failure{102, "unknown channel", http.StatusOK}
	errPosition = &failure{112, "unrecoverable position", http.StatusOK}
)

// bad is a request that cannot be done, and why.
func bad(why error) error { return &failure{107, "bad request: " + why.Error(), http.StatusOK} }

// refuse tells what is wrong. What is the service's own fault has a status by which its meter counts it.
func refuse(w http.ResponseWriter, err error) {
	f := new(failure)
	var down *room.DownError
	var pace *room.PaceError
	var ruled *room.SanctionError
	switch {
	case errors.As(err, &f):
	case errors.Is(err, room.ErrNoRoom):
		f = errUnknown
	case errors.Is(err, room.ErrReserved), errors.Is(err, room.ErrData):
		f = &failure{107, err.Error(), http.StatusOK}
	case errors.As(err, &ruled):
		f = &failure{103, err.Error(), http.StatusOK}
	case errors.As(err, &pace):
		f = &failure{111, err.Error(), http.StatusOK}
	case errors.As(err, &down):
		f = &failure{108, err.Error(), http.StatusOK}
	default:
		f = &failure{100, err.Error(), http.StatusInternalServerError}
	}
	web.Reply(w, f.status, map[string]any{"error": f})
}
