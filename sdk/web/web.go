// Package web is JSON over HTTP as services of this house speak it: a request has one bounded body without unknown fields,
// and an answer that tells of an error is {"error": "..."}.
package web

import (
	"encoding/json"
	"net/http"
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
		return &BodyError{err}
	}
	return nil
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
