package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/theseusd/theseus/daemon/audit"
	api "github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/release"
)

// status puts together what the engine and the host know.
func (s *Server) status(w http.ResponseWriter, _ *http.Request) error {
	st := s.o.Daemon
	st.Release, st.State = s.o.Engine.Current()
	st.Upgrade = s.o.Engine.InProgress()
	st.Services = list(s.o.Services.Services())
	if s.o.Notes != nil {
		st.Notes = s.o.Notes()
	}
	if s.o.Safe != nil {
		_ = errors.As(s.o.Safe(), &st.Unsafe) // nil if it is safe
	}
	writeJSON(w, http.StatusOK, st)
	return nil
}

func (s *Server) tree(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, s.o.Services.Tree())
	return nil
}

func (s *Server) releases(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, list(s.o.Engine.Releases()))
	return nil
}

// history answers the events so far as one list. With ?follow each later one comes as a line of its own, until the
// client goes away.
func (s *Server) history(w http.ResponseWriter, r *http.Request) error {
	past, mark, changed := s.o.Past.Events(audit.Mark{})
	if !r.URL.Query().Has("follow") {
		writeJSON(w, http.StatusOK, list(past))
		return nil
	}
	ctx, leave := context.WithCancelCause(r.Context())
	defer leave(nil)
	out := &lines{w: w, rc: http.NewResponseController(w), leave: leave}
	out.write(list(past))
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		past, mark, changed = s.o.Past.Events(mark)
		for _, e := range past {
			out.write(e)
		}
	}
}

// list makes nothing an empty list, which JSON tells from null.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// build takes all packages in, then makes a release of them; one bad package and there is no release.
func (s *Server) build(w http.ResponseWriter, r *http.Request) error {
	var in api.BuildRequest
	if err := decode(w, r, &in); err != nil {
		return err
	}
	if s.o.Safe != nil {
		if err := s.o.Safe(); err != nil {
			return err
		}
	}
	pkgs, passed, err := s.add(r.Context(), in)
	if err != nil {
		return err
	}
	by := s.by(r, in.By)
	built, err := s.o.Engine.Build(r.Context(), pkgs, by, in.Remove...)
	if err != nil {
		return err
	}
	built.Warnings = append(passed, built.Warnings...)
	s.log.Info("release built", "from", built.From, "to", built.To, "new", built.New, "by", by)
	writeJSON(w, http.StatusOK, built)
	return nil
}

// add takes packages in, all or none, and says which it passed over.
func (s *Server) add(ctx context.Context, in api.BuildRequest) (pkgs []release.Package, passed []string, err error) {
	defer func() {
		if err != nil {
			s.o.Engine.Discard(pkgs)
		}
	}()
	for _, path := range in.Packages {
		if !filepath.IsAbs(path) {
			return pkgs, nil, &api.Error{Code: "bad_request", Message: fmt.Sprintf("packages: %q is no absolute path", path)}
		}
		p, err := s.o.Store.Add(ctx, path)
		var no *release.RejectError
		if in.PassOver && errors.Is(err, release.ErrTaken) && errors.As(err, &no) {
			passed = append(passed, "passed over: "+no.Reason+"; "+no.Hint)
			continue
		}
		if err != nil {
			return pkgs, nil, badPackage(path, err)
		}
		pkgs = append(pkgs, p)
	}
	return pkgs, passed, nil
}

// badPackage tells a package that is refused from a disk that fails.
func badPackage(path string, err error) error {
	var refused *release.RejectError
	if !errors.As(err, &refused) {
		return fmt.Errorf("take in %s: %w", filepath.Base(path), err)
	}
	return &api.Error{Code: "bad_package", Message: refused.Error(), Hint: refused.Hint}
}

func (s *Server) plan(w http.ResponseWriter, r *http.Request) error {
	var in api.PlanRequest
	if err := decode(w, r, &in); err != nil {
		return err
	}
	plan, err := s.o.Engine.Plan(r.Context(), in)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, plan)
	return nil
}

func (s *Server) remove(w http.ResponseWriter, r *http.Request) error {
	var in api.RemoveRequest
	if err := decode(w, r, &in); err != nil {
		return err
	}
	in.By = s.by(r, in.By)
	removed, err := s.o.Engine.Remove(r.Context(), in)
	if err != nil {
		return err
	}
	removed.Packages = list(removed.Packages)
	writeJSON(w, http.StatusOK, removed)
	return nil
}

// by is who asks: the account at the other end, as the kernel knows it, and for whom that says it acts.
func (s *Server) by(r *http.Request, said string) string {
	p := peerOf(r.Context())
	if said = printable(said); said == "" || said == p.name() {
		return p.who()
	}
	return fmt.Sprintf("%s for %q", p.who(), said)
}

// maxSaid is how much of what a client says of itself is kept, in runes.
const maxSaid = 64

func printable(said string) string {
	r := []rune(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, said))
	return string(r[:min(len(r), maxSaid)])
}
