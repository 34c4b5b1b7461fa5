package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/theseusd/theseus/plugins/breaker/internal/circuit"
	"github.com/theseusd/theseus/sdk/clock"
	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/web"
)

// routes is the HTTP interface. A call that may not be made answers 429 with Retry-After: a 503 would count as a failure of
// this service, and send an upgrade back. What a page of another site has a browser ask for is refused.
func (b *breakers) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /breakers", b.serveList)
	mux.HandleFunc("GET /breakers/{name}", b.serveStatus)
	mux.HandleFunc("POST /breakers/{name}/permit", b.servePermit)
	mux.HandleFunc("POST /breakers/{name}/report", b.serveReport)
	mux.HandleFunc("PUT /breakers/{name}/settings", b.serveSettings)
	for path, event := range forces {
		mux.HandleFunc("POST /breakers/{name}/"+path, func(w http.ResponseWriter, r *http.Request) {
			t, err := b.force(r.PathValue("name"), event)
			answer(w, turnView(t), err)
		})
	}
	mux.HandleFunc("GET /events", b.serveEvents)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		web.Fail(w, http.StatusNotFound, fmt.Sprintf("no %s %s; try GET /breakers", r.Method, r.URL.Path))
	})
	return http.NewCrossOriginProtection().Handler(mux)
}

// forces are the words for what is done by hand.
var forces = map[string]circuit.Event{
	"force-open": circuit.ForceOpen, "force-close": circuit.ForceClose, "reset": circuit.Reset,
}

// permitView is the answer to whether a call may be made.
type permitView struct {
	Allowed bool          `json:"allowed"`
	State   circuit.State `json:"state"`
	Lease   string        `json:"lease,omitempty"`
	Retry   float64       `json:"retry_after,omitempty"` // seconds
}

// changeView is what a call has changed.
type changeView struct {
	State   circuit.State    `json:"state"`
	Changes []circuit.Change `json:"changes,omitempty"`
}

func turnView(t *circuit.Turn) changeView {
	if t == nil {
		return changeView{}
	}
	return changeView{t.State, t.Changes}
}

func (b *breakers) serveList(w http.ResponseWriter, _ *http.Request) {
	all, err := b.list()
	answer(w, append([]view{}, all...), err)
}

func (b *breakers) serveStatus(w http.ResponseWriter, r *http.Request) {
	v, err := b.look(r.PathValue("name"))
	answer(w, v, err)
}

func (b *breakers) servePermit(w http.ResponseWriter, r *http.Request) {
	p, t, err := b.permit(r.PathValue("name"))
	switch {
	case err != nil:
		fail(w, err)
	case p.Allowed:
		web.Reply(w, http.StatusOK, permitView{Allowed: true, State: t.State, Lease: leaseText(p.Lease)})
	default:
		if p.Retry > 0 {
			w.Header().Set("Retry-After", strconv.FormatInt(clock.Seconds(p.Retry), 10))
		}
		web.Reply(w, http.StatusTooManyRequests, permitView{State: t.State, Retry: p.Retry.Seconds()})
	}
}

func (b *breakers) serveReport(w http.ResponseWriter, r *http.Request) {
	var body struct {
		OK    *bool   `json:"ok"`
		Took  float64 `json:"took_ms"`
		Lease string  `json:"lease"`
	}
	err := web.Read(w, r, &body)
	if err == nil && body.OK == nil {
		err = wrong(`"ok" is missing`)
	}
	if err == nil && !(body.Took >= 0 && body.Took < 1e12) {
		err = wrong(`"took_ms" is not a time`)
	}
	lease, leaseErr := leaseOf(body.Lease)
	if err = errors.Join(err, leaseErr); err != nil {
		fail(w, err)
		return
	}
	took := time.Duration(body.Took * float64(time.Millisecond))
	t, err := b.report(r.PathValue("name"), circuit.Report{Failed: !*body.OK, Took: took, Lease: lease})
	answer(w, turnView(t), err)
}

func (b *breakers) serveSettings(w http.ResponseWriter, r *http.Request) {
	var own circuit.Settings
	if err := web.Read(w, r, &own); err != nil {
		fail(w, err)
		return
	}
	if err := b.set(r.PathValue("name"), own); err != nil {
		fail(w, err)
		return
	}
	b.serveStatus(w, r)
}

// serveEvents streams changes, from behind Last-Event-ID or from now on. A version that is being released ends it; the
// next one goes on where the client was.
func (b *breakers) serveEvents(w http.ResponseWriter, r *http.Request) {
	number := b.story.end()
	if word := r.Header.Get("Last-Event-ID"); word != "" {
		n, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			fail(w, wrong("Last-Event-ID is no number"))
			return
		}
		number = n
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	for {
		lines, reached, more, err := b.story.after(number)
		if err != nil {
			return
		}
		for _, l := range lines {
			text, _ := json.Marshal(l)
			if _, err := fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", l.Number, l.Event, text); err != nil {
				return
			}
		}
		number = reached
		if err := out.Flush(); err != nil {
			return
		}
		select {
		case <-more:
		case <-serve.Parking(r.Context()):
			return
		case <-r.Context().Done():
			return
		}
	}
}

// wrong is a request that cannot be answered as it is.
type wrong string

func (w wrong) Error() string { return string(w) }

// callersFault tells what a caller has done wrong from what this service could not do.
func callersFault(err error) bool {
	var w wrong
	var s settingsError
	var body *web.BodyError
	return errors.As(err, &w) || errors.As(err, &s) || errors.As(err, &body) || errors.Is(err, errName) || errors.Is(err, errMany) || errors.Is(err, circuit.ErrLease)
}

func answer(w http.ResponseWriter, body any, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	web.Reply(w, http.StatusOK, body)
}

// fail answers with an error and whose fault it is.
func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, circuit.ErrLease):
		status = http.StatusConflict
	case callersFault(err):
		status = http.StatusBadRequest
	}
	web.Fail(w, status, err.Error())
}
