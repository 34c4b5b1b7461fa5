package control

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	api "github.com/theseusd/theseus/sdk/control"
)

// act is Engine.Upgrade, Engine.Commit or Engine.Rollback.
type act func(ctx context.Context, r api.UpgradeRequest, emit func(api.Event)) error

// stream runs do and answers its events while they come. If do fails before its first event the answer is that
// error; later the last event carries it.
func (s *Server) stream(do act) answerer {
	return func(w http.ResponseWriter, r *http.Request) error {
		var in api.UpgradeRequest
		if err := decode(w, r, &in); err != nil {
			return err
		}
		in.By = s.by(r, in.By)
		ctx, leave := context.WithCancelCause(r.Context())
		defer leave(nil)
		out := &lines{w: w, rc: http.NewResponseController(w), leave: leave}
		err := do(ctx, in, out.emit)
		if err != nil && !out.begun {
			return err
		}
		if ctx.Err() == nil {
			out.write(ending(err))
		}
		return nil
	}
}

// ending is the last event of a stream.
func ending(err error) api.Event {
	e := api.Event{Time: time.Now().UTC(), Kind: "end", Last: true}
	if err != nil {
		e.Error = asError(err)
	}
	return e
}

// lines writes ndjson to one client.
type lines struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	leave context.CancelCauseFunc
	begun bool
}

// emit leaves the end of the stream to the server.
func (l *lines) emit(e api.Event) {
	e.Last, e.Error = false, nil
	l.write(e)
}

// write sends one event at once; a client that takes nothing for writeTimeout is given up.
func (l *lines) write(v any) {
	if !l.begun {
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.begun = true
	}
	_ = l.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	enc := json.NewEncoder(l.w)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	if err == nil {
		err = l.rc.Flush()
	}
	if err != nil {
		l.leave(err)
	}
}
