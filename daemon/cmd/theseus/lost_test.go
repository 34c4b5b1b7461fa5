package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// dies is a service that ends in the middle of its answer, and then as often before it.
func dies(t *testing.T, times int) (dir string) {
	t.Helper()
	dir = empty(t)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /verbs/join", func(w http.ResponseWriter, r *http.Request) {
		var in control.Asked
		_ = json.NewDecoder(r.Body).Decode(&in)
		w.Header().Set("Content-Type", control.SaidType)
		out := json.NewEncoder(w)
		if in.Args[0] == "general" {
			_ = out.Encode(control.Said{Out: "one\n", Lost: &control.GoOn{Args: []string{"after", "one"}}})
			_ = http.NewResponseController(w).Flush()
		}
		if times--; times >= 0 {
			panic(http.ErrAbortHandler)
		}
		_ = out.Encode(control.Said{Out: strings.Join(in.Args, " ") + "\n", Last: true})
	})
	listen(t, dir, "chat.sock", mux)
	return dir
}

// A verb that printed for as long as somebody watched ended with a crash of its service.
func TestAVerbIsCalledAgainWhenItsServiceIsLost(t *testing.T) {
	var out, complaints bytes.Buffer
	code := run(t.Context(), []string{"chat", "--dir", dies(t, 3), "join", "general"}, &out, &complaints)
	if code != 0 || out.String() != "one\nafter one\n" || complaints.String() != "chat: the service does not answer: coming again\n" {
		t.Errorf("ended with %d: %q %q", code, &out, &complaints)
	}
}

func TestAVerbIsNotCalledForEver(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	complaints, said := io.Pipe()
	go func() {
		_, _ = complaints.Read(make([]byte, 100))
		stop() // as Ctrl-C does
		_, _ = io.Copy(io.Discard, complaints)
	}()
	began := time.Now()
	code := run(ctx, []string{"chat", "--dir", dies(t, 1e9), "join", "general"}, io.Discard, said)
	if took := time.Since(began); code != failed || took > comesFor/2 {
		t.Errorf("ended with %d after %s", code, took)
	}
}

// A terminal ended after the very 30 s for which a service rests that has used up its restarts, and did not say how it goes on.
func TestAVerbWaitsLongerThanItsServiceRests(t *testing.T) {
	var complaints bytes.Buffer
	c := &call{command: "chat", args: []string{"join", "general"}, err: &complaints}
	c.lost = lost{words: []string{"--as", "ada l'ovelace", "--on", "/EPOCH/1", "--", "general"}, since: time.Now().Add(-45 * time.Second)}
	if !c.comesAgain(t.Context(), &control.LostError{}) {
		t.Error("it is not called again while its service rests")
	}
	c.lost.since = time.Now().Add(-comesFor)
	if c.comesAgain(t.Context(), &control.LostError{}) {
		t.Error("it is called again after all the time that it has")
	}
	code := c.finish(t.Context(), nil, &display{}, errors.New("no answer"))
	want := `chat: it goes on, once it is there, with: chat join --as 'ada l'\''ovelace' --on /EPOCH/1 -- general` + "\n"
	if code != failed || !strings.HasSuffix(complaints.String(), want) {
		t.Errorf("ended with %d: %s", code, &complaints)
	}
}
