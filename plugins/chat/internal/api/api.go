// Package api is what other programs may do with rooms, over HTTP.
//
//	POST /api/publish   {"channel": ROOM, "data": JSON, "user": USER, "idempotency_key": ID}
//	POST /api/history   {"channel": ROOM, "limit": N, "since": {"offset": N, "epoch": EPOCH}}
//	POST /api/presence  {"channel": ROOM}
//	POST /api/channels  {}
//
// Requests carry the key of the chat in X-API-Key; without a key in its settings there is no such interface. The answer is
// {"result": ...} or {"error": {"code": N, "message": TEXT}} with the numbers of the client protocol, as Centrifugo has it.
package api

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk/web"
)

const (
	maxBody   = 64 << 10
	maxList   = 1000
	maxAnswer = 1 << 20
	patience  = 5 * time.Second
)

// request is what any of the methods is asked with.
type request struct {
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
	User    string          `json:"user"`
	ID      string          `json:"idempotency_key"`
	Limit   int             `json:"limit"`
	Since   *position       `json:"since"`
}

type position struct {
	Offset uint64 `json:"offset"`
	Epoch  string `json:"epoch"`
}

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
	errBad      = &failure{107, "bad request", http.StatusOK}
	errPosition = &failure{112, "unrecoverable position", http.StatusOK}
)

// API answers the requests of programs that know the key.
type API struct {
	Rooms *room.Rooms
	Key   string
}

// Handler has all methods; with no key it refuses every request.
func (a API) Handler() http.Handler {
	mux := http.NewServeMux()
	for name, do := range map[string]func(context.Context, request) (any, error){
		"publish": a.publish, "history": a.history, "presence": a.presence, "channels": a.channels,
	} {
		mux.HandleFunc("POST /api/"+name, func(w http.ResponseWriter, r *http.Request) { a.answer(w, r, do) })
	}
	return mux
}

func (a API) answer(w http.ResponseWriter, r *http.Request, do func(context.Context, request) (any, error)) {
	var q request
	key := r.Header.Get("X-API-Key")
	if a.Key == "" || subtle.ConstantTimeCompare([]byte(key), []byte(a.Key)) != 1 {
		refuse(w, errKey)
		return
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&q); err != nil {
		refuse(w, errBad)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	result, err := do(ctx, q)
	if err != nil {
		refuse(w, err)
		return
	}
	web.Reply(w, http.StatusOK, map[string]any{"result": result})
}

// refuse tells what is wrong. What is the service's own fault has a status by which its meter counts it.
func refuse(w http.ResponseWriter, err error) {
	f := new(failure)
	var down *room.DownError
	var pace *room.PaceError
	switch {
	case errors.As(err, &f):
	case errors.Is(err, room.ErrNoRoom):
		f = errUnknown
	case errors.Is(err, room.ErrReserved), errors.Is(err, room.ErrData):
		f = &failure{107, err.Error(), http.StatusOK}
	case errors.Is(err, room.ErrBanned), errors.Is(err, room.ErrMuted):
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

func (a API) publish(ctx context.Context, q request) (any, error) {
	if len(q.Data) == 0 {
		return nil, errBad
	}
	p, err := a.Rooms.Post(ctx, q.Channel, room.Post{User: q.User, ID: q.ID, Data: q.Data})
	return position{p.Offset, p.Epoch}, err
}

// publication is a message in an answer.
type publication struct {
	Offset uint64          `json:"offset"`
	Data   json.RawMessage `json:"data"`
	User   string          `json:"user,omitempty"`
	At     time.Time       `json:"at"`
}

func (a API) history(_ context.Context, q request) (any, error) {
	r, err := a.Rooms.Find(q.Channel)
	if err != nil {
		return nil, err
	}
	from := r.First
	if q.Since != nil {
		if q.Since.Epoch != "" && q.Since.Epoch != r.Epoch {
			return nil, errPosition
		}
		from = max(from, q.Since.Offset+1)
	}
	list := []publication{}
	if limit := min(q.Limit, maxList); limit > 0 && from <= r.Last {
		entries, err := a.Rooms.Range(q.Channel, from, r.Last, room.Limit{Count: limit, Bytes: maxAnswer})
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			list = append(list, publication{e.Offset, e.Data, e.User, e.At})
		}
	}
	return map[string]any{"publications": list, "offset": r.Last, "epoch": r.Epoch}, nil
}

func (a API) presence(_ context.Context, q request) (any, error) {
	if !a.Rooms.Has(q.Channel) {
		return nil, room.ErrNoRoom
	}
	here := map[string]room.Who{}
	for _, w := range a.Rooms.Here(q.Channel) {
		here[w.Client] = w
	}
	return map[string]any{"presence": here}, nil
}

func (a API) channels(context.Context, request) (any, error) {
	all := map[string]any{}
	list, err := a.Rooms.All()
	for _, s := range list {
		all[s.Name] = map[string]int{"num_clients": s.Members}
	}
	return map[string]any{"channels": all}, err
}
