// Package api is what other programs may do with rooms, over HTTP.
//
//	POST /api/publish   {"channel": ROOM, "data": JSON, "user": USER, "idempotency_key": ID}
//	POST /api/history   {"channel": ROOM, "limit": N, "since": {"offset": N, "epoch": EPOCH}, "reverse": BOOL}
//	POST /api/presence  {"channel": ROOM}
//	POST /api/channels  {}
//
// Requests carry the key of the chat in X-API-Key; without a key in its settings there is no such interface. The answer is
// {"result": ...} or {"error": {"code": N, "message": TEXT}} with the numbers of the client protocol, as Centrifugo has it.
// What a method does not know is an error: a request that means more than is done for it is not done at all.
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
	maxList   = 1000
	maxAnswer = 1 << 20
	patience  = 5 * time.Second
)

// API answers the requests of programs that know the key.
type API struct {
	Rooms *room.Rooms
	Key   string
}

// Handler has all methods; with no key it refuses every request.
func (a API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/publish", method(a, a.publish))
	mux.HandleFunc("POST /api/history", method(a, a.history))
	mux.HandleFunc("POST /api/presence", method(a, a.presence))
	mux.HandleFunc("POST /api/channels", method(a, a.channels))
	return mux
}

// method is what is asked with a Request, and with nothing else.
func method[Request any](a API, do func(context.Context, Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("X-API-Key")
		if a.Key == "" || subtle.ConstantTimeCompare([]byte(key), []byte(a.Key)) != 1 {
			refuse(w, errKey)
			return
		}
		var q Request
		if err := web.Read(w, r, &q); err != nil {
			refuse(w, bad(err))
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
}

// publishRequest is a message. Who has no name is called "api".
type publishRequest struct {
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
	User    *string         `json:"user"`
	ID      *string         `json:"idempotency_key"`
}

func (q publishRequest) post() (room.Post, error) {
	p := room.Post{User: "api", Data: q.Data}
	if q.User != nil {
		p.User = *q.User
	}
	if q.ID != nil {
		p.ID = *q.ID
	}
	switch {
	case len(q.Data) == 0:
		return p, errors.New("there is no data")
	case q.ID != nil && room.CheckID(p.ID) != nil:
		return p, room.CheckID(p.ID)
	}
	return p, room.CheckUser(p.User)
}

func (a API) publish(ctx context.Context, q publishRequest) (any, error) {
	p, err := q.post()
	if err != nil {
		return nil, bad(err)
	}
	at, err := a.Rooms.Post(ctx, q.Channel, p)
	return position{at.Offset, at.Epoch}, err
}

// historyRequest is for as many messages, without a limit for none, with -1 for all that an answer holds.
type historyRequest struct {
	Channel string    `json:"channel"`
	Limit   int       `json:"limit"`
	Since   *position `json:"since"`
	Reverse bool      `json:"reverse"`
}

type position struct {
	Offset uint64 `json:"offset,omitempty"` // none of what is not kept
	Epoch  string `json:"epoch"`
}

// publication is a message in an answer.
type publication struct {
	Offset uint64            `json:"offset"`
	Data   json.RawMessage   `json:"data"`
	User   string            `json:"user,omitempty"`
	At     time.Time         `json:"at"`
	Tags   map[string]string `json:"tags,omitempty"`
}

func (a API) history(_ context.Context, q historyRequest) (any, error) {
	if q.Limit < -1 {
		return nil, bad(errors.New("limit takes a whole number from 0, or -1 for as many messages as an answer holds"))
	}
	r, err := a.Rooms.Find(q.Channel)
	if err != nil {
		return nil, err
	}
	if q.Since != nil && q.Since.Epoch != "" && q.Since.Epoch != r.Epoch {
		return nil, errPosition
	}
	list, err := a.read(q, r)
	return map[string]any{"publications": list, "offset": r.Last, "epoch": r.Epoch}, err
}

// read is the messages that a request is for; all if its limit is -1.
func (a API) read(q historyRequest, r room.Room) ([]publication, error) {
	list := []publication{}
	var since *uint64
	if q.Since != nil {
		since = &q.Since.Offset
	}
	from, to, some := r.Span(since, q.Reverse)
	if !some || q.Limit == 0 {
		return list, nil
	}
	most := room.Limit{Count: maxList, Bytes: maxAnswer}
	if q.Limit > 0 {
		most.Count = min(q.Limit, maxList)
	}
	entries, err := a.Rooms.Range(q.Channel, from, to, most)
	for _, e := range entries {
		list = append(list, publication{e.Offset, e.Data, e.User, e.At, e.Tags()})
	}
	return list, err
}

type presenceRequest struct {
	Channel string `json:"channel"`
}

func (a API) presence(_ context.Context, q presenceRequest) (any, error) {
	if !a.Rooms.Has(q.Channel) {
		return nil, room.ErrNoRoom
	}
	here := map[string]room.Who{}
	for _, w := range a.Rooms.Here(q.Channel) {
		here[w.Client] = w
	}
	return map[string]any{"presence": here}, nil
}

func (a API) channels(context.Context, struct{}) (any, error) {
	all := map[string]any{}
	list, err := a.Rooms.All()
	for _, s := range list {
		all[s.Name] = map[string]int{"num_clients": s.Members}
	}
	return map[string]any{"channels": all}, err
}
