package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Verb is a command of the service. Since it lives in the version that runs, an upgrade brings its verbs along.
type Verb struct {
	Name  string // "send"
	Args  string // for people, and counted: words in capitals are needed, in [brackets] they may be left out, "..." ends the count
	Short string // one line of help
	// Run answers with what is printed, without the last newline. Its error is printed on stderr and the command
	// ends with 1, or with 2 if the error is a *UsageError.
	Run func(ctx context.Context, args []string) (string, error)
}

// UsageError says that a verb was called wrongly.
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

// Usagef makes a *UsageError.
func Usagef(format string, args ...any) error { return &UsageError{Text: fmt.Sprintf(format, args...)} }

func (v Verb) validate(others []Verb) error {
	if !serviceName.MatchString(v.Name) || v.Run == nil {
		return fmt.Errorf("sdk: verb %q needs a name in lower case and a Run function", v.Name)
	}
	for _, o := range others {
		if o.Name == v.Name {
			return fmt.Errorf("sdk: verb %q is declared twice", v.Name)
		}
	}
	return nil
}

// arity reads from Args how many arguments are needed and how many are allowed; most < 0 is any number.
func (v Verb) arity() (least, most int) {
	depth := 0
	for _, word := range strings.Fields(v.Args) {
		open := depth > 0 || strings.HasPrefix(word, "[")
		depth += strings.Count(word, "[") - strings.Count(word, "]")
		if strings.Contains(word, "...") || strings.Contains(word, "--") {
			most = -1
		}
		if !open && !strings.HasPrefix(word, "-") {
			least++
		}
		if most >= 0 {
			most++
		}
	}
	return least, most
}

func (v Verb) call(ctx context.Context, args []string) (string, error) {
	if least, most := v.arity(); len(args) < least || (most >= 0 && len(args) > most) {
		return "", Usagef("%s takes: %s %s", v.Name, v.Name, v.Args)
	}
	return v.Run(ctx, args)
}

// verbHandler answers verbs over HTTP on the service's own unix socket.
func verbHandler(s *Setup) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /verbs", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.describe().Verbs)
	})
	mux.HandleFunc("POST /verbs/{name}", s.serveVerb)
	return mux
}

// maxVerbBody bounds the arguments of one verb.
const maxVerbBody = 16 << 20

func (s *Setup) serveVerb(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Args []string `json:"args"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxVerbBody)).Decode(&body); err != nil {
		writeJSON(w, http.StatusBadRequest, verbError{Error: "the body is not {\"args\": [...]}: " + err.Error()})
		return
	}
	v, ok := s.verb(r.PathValue("name"))
	if !ok {
		writeJSON(w, http.StatusNotFound, verbError{Error: fmt.Sprintf("%s %s has no verb %q", s.service.Name, s.service.Version, r.PathValue("name"))})
		return
	}
	text, err := v.call(r.Context(), body.Args)
	if err != nil {
		v.writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text))
}

func (s *Setup) verb(name string) (Verb, bool) {
	for _, v := range s.verbs {
		if v.Name == name {
			return v, true
		}
	}
	return Verb{}, false
}

type verbError struct {
	Error string `json:"error"`
	Usage string `json:"usage,omitempty"`
	Hint  string `json:"hint,omitempty"`
}

func (v Verb) writeError(w http.ResponseWriter, err error) {
	var usage *UsageError
	if errors.As(err, &usage) {
		writeJSON(w, http.StatusBadRequest, verbError{Error: usage.Text, Usage: strings.TrimSpace(v.Name + " " + v.Args)})
		return
	}
	writeJSON(w, http.StatusUnprocessableEntity, verbError{Error: err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
