package control

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowly is a service whose answer takes its time.
type slowly struct {
	before time.Duration // the first byte
	kind   string
	lines  []string
	pause  time.Duration // before each line
}

func (s slowly) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(s.before):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	out, in := io.Pipe()
	go func() {
		for _, line := range s.lines {
			select {
			case <-time.After(s.pause):
			case <-r.Context().Done():
				in.CloseWithError(r.Context().Err())
				return
			}
			_, _ = io.WriteString(in, line)
		}
		in.Close()
	}()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {s.kind}}, Body: out}, nil
}

// A verb with Run has nothing to say until it is done, however long that takes.
func TestPatienceWithVerbs(t *testing.T) {
	const bit, last = `{"out":"a"}`, `{"out":"b","last":true}`
	for name, c := range map[string]struct {
		slowly
		want, err string
	}{
		"an answer at once after ten minutes": {slowly{10 * time.Minute, "text/plain", []string{"done"}, 0}, "done", ""},
		"an answer at once that is slow":      {slowly{0, "text/plain", []string{"do", "ne"}, time.Minute}, "done", ""},
		"bit by bit after ten minutes":        {slowly{10 * time.Minute, SaidType, []string{bit, last}, 0}, "ab", ""},
		"signs of life":                       {slowly{0, SaidType, []string{`{}`, `{}`, bit, last}, Silence - time.Second}, "ab", ""},
		"silence in the middle":               {slowly{0, SaidType, []string{bit, last}, Silence + time.Second}, "", "no answer within 30s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Service{name: "x", http: &http.Client{Transport: c.slowly}}
				text, err := s.Call(t.Context(), "verb")
				if text != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Errorf("%q, %v", text, err)
				}
			})
		})
	}
}
