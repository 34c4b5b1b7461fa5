package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/theseusd/theseus/sdk/control"
)

// Verb is a command of the service. Since it lives in the version that runs, an upgrade brings its verbs along.
type Verb struct {
	Name  string // "send"
	Args  string // for people, and counted: words in capitals are needed, in [brackets] they may be left out, "..." ends the count
	Short string // one line of help
	// Run answers with what is printed, without the last newline. Its error is printed on stderr and the command
	// ends with 1, or with 2 if the error is a *UsageError.
	Run func(ctx context.Context, args []string) (string, error)

	// Do is for verbs that take flags, go on for long or write files; a verb has one of Do and Run. The context ends
	// with the command, and with the time of this version. A *UsageError counts as one until something was printed.
	Do       func(ctx context.Context, c *Call) error
	Flags    []Flag
	Examples string // lines that `NAME VERB --help` shows
	Input    bool   // the word "-" stands for the caller's standard input, which Do finds in [Call]; so does no word if Args is "[-]"
}

// UsageError says that a verb was called wrongly.
type UsageError struct{ Text string }

func (e *UsageError) Error() string { return e.Text }

// ErrSaid ends a verb with Do that has failed and has printed all there is to say: the command ends with 1 and prints
// no error.
var ErrSaid = errors.New("sdk: the verb has failed, and has said so")

// Usagef makes a *UsageError.
func Usagef(format string, args ...any) error { return &UsageError{Text: fmt.Sprintf(format, args...)} }

func (v Verb) validate(others []Verb) error {
	if !serviceName.MatchString(v.Name) || (v.Run == nil) == (v.Do == nil) {
		return fmt.Errorf("sdk: verb %q needs a name in lower case and one of Run and Do", v.Name)
	}
	if len(v.Flags) > 0 && v.Do == nil {
		return fmt.Errorf("sdk: verb %q has flags: it needs Do", v.Name)
	}
	if err := checkFlags(v.Name, v.Flags); err != nil {
		return err
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
		if strings.Contains(word, "...") {
			most = -1
		}
		if !open {
			least++
		}
		if most >= 0 {
			most++
		}
	}
	return least, most
}

// call is for those who want the whole answer.
func (v Verb) call(ctx context.Context, args []string) (string, error) {
	words, flags, err := v.parse(args)
	if err != nil {
		return "", err
	}
	if v.Run != nil {
		return v.Run(ctx, words)
	}
	var text strings.Builder
	c := &Call{Args: words, Input: strings.NewReader(""), flags: flags, say: func(s control.Said) error { text.WriteString(s.Out); return nil }}
	err = v.Do(ctx, c)
	return strings.TrimSuffix(text.String(), "\n"), err
}

// verbHandler answers verbs over HTTP on the service's own unix socket.
func verbHandler(s *Setup) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /verbs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", s.service.Name+"/"+s.service.Version)
		writeJSON(w, http.StatusOK, s.describe().Verbs)
	})
	mux.HandleFunc("POST /verbs/{name}", s.serveVerb)
	return mux
}

// maxVerbBody bounds the arguments of one verb.
const maxVerbBody = 16 << 20

func (s *Setup) serveVerb(w http.ResponseWriter, r *http.Request) {
	var body control.Asked
	head := json.NewDecoder(io.LimitReader(r.Body, maxVerbBody))
	if err := head.Decode(&body); err != nil {
		writeJSON(w, http.StatusBadRequest, verbError{Error: "the body is not {\"args\": [...]}: " + err.Error()})
		return
	}
	v, ok := s.verb(r.PathValue("name"))
	if !ok {
		writeJSON(w, http.StatusNotFound, verbError{Error: fmt.Sprintf("%s %s has no verb %q", s.service.Name, s.service.Version, r.PathValue("name"))})
		return
	}
	body.Input = io.MultiReader(head.Buffered(), r.Body)
	v.answers(w, r, body)
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
		writeJSON(w, http.StatusBadRequest, verbError{Error: usage.Text, Usage: strings.TrimSpace(v.usage())})
		return
	}
	writeJSON(w, http.StatusUnprocessableEntity, verbError{Error: err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
