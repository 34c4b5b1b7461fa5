package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/theseusd/theseus/sdk/describe"
)

// Service talks to the running version of one service, with or without a daemon.
type Service struct {
	name string
	http *http.Client
}

// VerbError is a verb that ran and failed.
type VerbError struct {
	Verb    string
	Message string
	Hint    string
}

func (e *VerbError) Error() string { return e.Message }

// UsageError is a verb that does not exist, or not with these arguments.
type UsageError struct {
	Verb    string
	Message string
	Usage   string // "hit USER"; may be empty
}

func (e *UsageError) Error() string { return e.Message }

// LostError is a service that ended in the middle of its answer. What it was asked for may be done. It matches ErrLost.
type LostError struct {
	Service string // as it was called
	Err     error
}

func (e *LostError) Error() string {
	return e.Service + " ended before it had answered; what it was asked for may be done, or not"
}

// Unwrap makes the error ErrLost and its cause.
func (e *LostError) Unwrap() error { return e.Err }

// ended names the service that was lost, where the error is that.
func (s *Service) ended(err error) error {
	if errors.Is(err, ErrLost) {
		return &LostError{s.name, err}
	}
	return err
}

// DialService returns a client of the service that answers to name, or to the command name, in the instance that
// Find finds. The first call connects.
func DialService(dir, name string) (*Service, error) {
	dir, err := Find(dir)
	if err != nil {
		return nil, err
	}
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return nil, fmt.Errorf("%q is no name of a service", name)
	}
	return &Service{name: name, http: over(dir, name+".sock")}, nil
}

// Verbs lists what the running version can do, and its version if it says so.
func (s *Service) Verbs(ctx context.Context) (verbs []describe.Verb, version string, err error) {
	res, err := send(ctx, s.http, http.MethodGet, "/verbs", nil)
	if err != nil {
		return nil, "", s.ended(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		e := answer(res)
		return nil, "", &e.Error
	}
	if err := json.NewDecoder(res.Body).Decode(&verbs); err != nil {
		return nil, "", s.ended(lost(ctx, err))
	}
	_, version, _ = strings.Cut(res.Header.Get("Server"), "/")
	return verbs, version, nil
}

// Call runs a verb and returns its answer. A verb that fails is a *VerbError, a wrong call a *UsageError, and a service
// that ends in between a *LostError.
func (s *Service) Call(ctx context.Context, verb string, args ...string) (string, error) {
	var text strings.Builder
	err := s.ask(ctx, verb, Asked{Args: args}, func(said Said) { text.WriteString(said.Out) })
	return text.String(), s.ended(err)
}

// refusal is the error that a service answered with.
func refusal(verb string, res *http.Response) error {
	e := answer(res)
	switch res.StatusCode {
	case http.StatusUnprocessableEntity:
		return &VerbError{Verb: verb, Message: e.Message, Hint: e.Hint}
	case http.StatusBadRequest, http.StatusNotFound:
		return &UsageError{Verb: verb, Message: e.Message, Usage: e.Usage}
	}
	return &e.Error
}

// Sockets lists the services that have a socket in the instance, each by the word a person types for it.
func Sockets(dir string) ([]string, error) {
	entries, err := os.ReadDir(RunDir(dir))
	if err != nil {
		return nil, err
	}
	commands := map[string]string{} // service: command
	for _, e := range entries {
		note(commands, RunDir(dir), e)
	}
	names := make([]string, 0, len(commands))
	for _, command := range commands {
		names = append(names, command)
	}
	slices.Sort(names)
	return names, nil
}

// note remembers a socket under its service; a link to a socket is the service's command.
func note(commands map[string]string, run string, e os.DirEntry) {
	name, ok := strings.CutSuffix(e.Name(), ".sock")
	if !ok || e.Name() == SocketName {
		return
	}
	if e.Type()&os.ModeSymlink != 0 {
		to, err := os.Readlink(filepath.Join(run, e.Name()))
		if err == nil {
			commands[strings.TrimSuffix(filepath.Base(to), ".sock")] = name
		}
		return
	}
	if _, linked := commands[name]; !linked && e.Type()&os.ModeSocket != 0 {
		commands[name] = name
	}
}
