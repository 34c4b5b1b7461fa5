package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	api "github.com/theseusd/theseus/sdk/control"
)

// answerer handles one request; its error becomes the answer.
type answerer func(w http.ResponseWriter, r *http.Request) error

// endpoint is one line of the API.
type endpoint struct {
	method, path, short string
	do                  answerer
}

func (s *Server) endpoints() []endpoint {
	return []endpoint{
		{"GET", "/v1/status", "the daemon, the release that serves and its services", s.status},
		{"GET", "/v1/tree", "who supervises whom, as it stands", s.tree},
		{"GET", "/v1/releases", "the numbered releases, oldest first", s.releases},
		{"GET", "/v1/history", "who did what, when, and how it ended; with ?follow a line for each event to come", s.history},
		{"GET", "/v1/daemon", "which binary the daemon is, and how it came into charge", s.daemon},
		{"POST", "/v1/daemon/upgrade", `replace the daemon: {"path":"/path/theseusd"}; services go on`, s.replaceDaemon},
		{"POST", "/v1/daemon/rollback", "replace the daemon by the binary before: {}", s.rollbackDaemon},
		{"POST", "/v1/releases", `build a release: {"packages":["/path/NAME-VERSION.tpk"]}`, s.build},
		{"POST", "/v1/remove", `forget a release that nothing rests upon: {"release":"v1"}`, s.remove},
		{"POST", "/v1/plan", `what an upgrade would do: {"to":"v2"}; "" is the newest`, s.plan},
		{"POST", "/v1/rehearse", `take the live rows up and down again, switch nothing: {"to":"v2"}; answers a stream of events`, s.stream(s.o.Engine.Rehearse)},
		{"POST", "/v1/upgrade", `upgrade: {"to":"v2"}; answers a stream of events, one JSON a line`, s.stream(s.o.Engine.Upgrade)},
		{"POST", "/v1/commit", `end the probation, permanent now: {}; answers a stream of events`, s.stream(s.o.Engine.Commit)},
		{"POST", "/v1/rollback", `back to the release before: {}; answers a stream of events`, s.stream(s.o.Engine.Rollback)},
	}
}

// handler routes by path, then by method, so that a wrong method is told which ones are right.
func (s *Server) handler() http.Handler {
	paths := map[string]map[string]answerer{"/": {"GET": s.index}}
	for _, e := range s.endpoints() {
		if paths[e.path] == nil {
			paths[e.path] = map[string]answerer{}
		}
		paths[e.path][e.method] = e.do
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.route(paths, w, r)
	})
}

// route finds the endpoint, asks whether the peer may use it, and writes its error.
func (s *Server) route(paths map[string]map[string]answerer, w http.ResponseWriter, r *http.Request) {
	err := s.find(paths, w, r)
	if err == nil || r.Context().Err() != nil {
		return
	}
	e := asError(err)
	s.log.Debug("refused", "method", r.Method, "path", r.URL.Path, "code", e.Code, "error", e.Message)
	writeJSON(w, statusOf(e.Code), e)
}

func (s *Server) find(paths map[string]map[string]answerer, w http.ResponseWriter, r *http.Request) error {
	p := peerOf(r.Context())
	if !s.may(p) {
		return &api.Error{
			Code: "forbidden", Message: fmt.Sprintf("%s may not control this daemon", p.name()),
			Hint: "use the account the daemon runs as, or root",
		}
	}
	methods, ok := paths[r.URL.Path]
	if !ok {
		return &api.Error{Code: "not_found", Message: "there is no " + r.URL.Path, Hint: "GET / lists what there is"}
	}
	do, ok := methods[r.Method]
	if !ok {
		return wrongMethod(w, r, methods)
	}
	return do(w, r)
}

func wrongMethod(w http.ResponseWriter, r *http.Request, methods map[string]answerer) error {
	var allow []string
	for m := range methods {
		allow = append(allow, m)
	}
	slices.Sort(allow)
	w.Header().Set("Allow", strings.Join(allow, ", "))
	return &api.Error{Code: "method", Message: fmt.Sprintf("%s does not take %s, only %s", r.URL.Path, r.Method,
		strings.Join(allow, ", "))}
}

// index lists the API for people with curl.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) error {
	var b strings.Builder
	fmt.Fprintf(&b, "theseusd %s in %s\n\n", s.o.Daemon.Version, s.o.Daemon.Dir)
	for _, e := range s.endpoints() {
		fmt.Fprintf(&b, "%-4s %-19s %s\n", e.method, e.path, e.short)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, b.String())
	return nil
}

// statuses of HTTP for the codes of api.Error; any other code is a refusal, 422.
var statuses = map[string]int{
	"bad_request":  http.StatusBadRequest,
	"forbidden":    http.StatusForbidden,
	"not_found":    http.StatusNotFound,
	"no_release":   http.StatusNotFound,
	"method":       http.StatusMethodNotAllowed,
	"busy":         http.StatusConflict,
	"in_use":       http.StatusConflict,
	"stale_plan":   http.StatusConflict,
	"no_probation": http.StatusConflict,
	"internal":     http.StatusInternalServerError,
}

func statusOf(code string) int {
	if s, ok := statuses[code]; ok {
		return s
	}
	return http.StatusUnprocessableEntity
}

// asError is what crosses the socket for err.
func asError(err error) *api.Error {
	var e *api.Error
	if errors.As(err, &e) {
		return e
	}
	return &api.Error{Code: "internal", Message: err.Error(), Hint: "the log of theseusd may say more"}
}

// decode reads the body into out. An empty body is a request with nothing set.
func decode(w http.ResponseWriter, r *http.Request, out any) error {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTimeout))
	defer rc.SetReadDeadline(time.Time{}) //nolint:errcheck // or the end of the body's time would end a stream
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return badRequest(err)
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(out); err != nil {
		return badRequest(err)
	}
	if d.More() {
		return badRequest(errors.New("more than one JSON value"))
	}
	return nil
}

func badRequest(err error) error {
	return &api.Error{Code: "bad_request", Message: "the body of the request: " + err.Error(), Hint: "GET / lists what there is"}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
}
