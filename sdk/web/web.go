// Package web is JSON over HTTP as services of this house speak it: a request has one bounded body without unknown fields,
// and an answer that tells of an error is {"error": "..."}.
package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// MaxBody is how many bytes of a body are read.
const MaxBody = 64 << 10

// BodyError says what is wrong with the body of a request.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return "the body: " + e.Err.Error() }

func (e *BodyError) Unwrap() error { return e.Err }

// Read reads the body of a request. The error is a *BodyError.
func Read(w http.ResponseWriter, r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return &BodyError{reason(err)}
	}
	return nil
}

// reason is an error in words of JSON alone: what Go calls a field is nothing to whoever has sent it.
func reason(err error) error {
	var kind *json.UnmarshalTypeError
	unknown, isUnknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case isUnknown:
		return fmt.Errorf("unknown field %s", unknown)
	case errors.Is(err, io.EOF):
		return errors.New("it is empty")
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Errorf("want an object, not %s", kind.Value)
	case errors.As(err, &kind):
		return fmt.Errorf("field %q takes no %s", kind.Field, kind.Value)
	}
	return err
}

// Reply answers with a body. The client may be gone; then nobody is told.
func Reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// Fail answers with what went wrong.
func Fail(w http.ResponseWriter, status int, text string) {
	Reply(w, status, struct {
		Error string `json:"error"`
	}{text})
}
