package control

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"

	api "github.com/theseusd/theseus/sdk/control"
)

func (s *Server) daemon(w http.ResponseWriter, r *http.Request) error {
	if s.o.Replacer == nil {
		return errNoReplacer
	}
	d, err := s.o.Replacer.Daemon(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, d)
	return nil
}

var errNoReplacer = &api.Error{Code: "not_found", Message: "this daemon cannot be replaced"}

func (s *Server) replaceDaemon(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, func(in api.ReplaceRequest) error {
		if !filepath.IsAbs(in.Path) {
			return &api.Error{Code: "bad_request", Message: fmt.Sprintf("path: %q is no absolute path", in.Path)}
		}
		return nil
	}, func(ctx context.Context, in api.ReplaceRequest) (api.Replacement, func(), error) {
		return s.o.Replacer.Replace(ctx, in)
	})
}

func (s *Server) rollbackDaemon(w http.ResponseWriter, r *http.Request) error {
	return s.change(w, r, func(api.ReplaceRequest) error { return nil },
		func(ctx context.Context, in api.ReplaceRequest) (api.Replacement, func(), error) {
			return s.o.Replacer.Back(ctx, in)
		})
}

// change answers before the daemon ends: who asked is to know. A client that goes away changes nothing.
func (s *Server) change(w http.ResponseWriter, r *http.Request, check func(api.ReplaceRequest) error,
	do func(context.Context, api.ReplaceRequest) (api.Replacement, func(), error),
) error {
	if s.o.Replacer == nil {
		return errNoReplacer
	}
	var in api.ReplaceRequest
	if err := decode(w, r, &in); err != nil {
		return err
	}
	if err := check(in); err != nil {
		return err
	}
	in.By = s.by(r, in.By)
	p, letGo, err := do(context.WithoutCancel(r.Context()), in)
	if err != nil {
		return err
	}
	defer letGo()
	w.Header().Set("Connection", "close")
	writeJSON(w, http.StatusAccepted, p)
	_ = http.NewResponseController(w).Flush()
	return nil
}
