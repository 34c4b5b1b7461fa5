package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// talker is a service with one verb of each kind, behind a socket.
func talker(t *testing.T, verbs ...Verb) *control.Service {
	t.Helper()
	dir, err := os.MkdirTemp("", "th")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Setup{service: Service{Name: "lab", Version: "1.0.0"}}
	for _, v := range verbs {
		s.Verb(v)
	}
	if err := errors.Join(s.errs...); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(control.RunDir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", filepath.Join(control.RunDir(dir), "lab.sock"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: verbHandler(s)}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	client, err := control.DialService(dir, "lab")
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestAVerbAnswersBitByBit(t *testing.T) {
	seen := make(chan bool)
	client := talker(t, Verb{Name: "run", Args: "[WHAT]", Flags: labFlags, Do: func(_ context.Context, c *Call) error {
		c.Printf("first %v\n", c.Args)
		<-seen // it has arrived while the verb is at work
		c.Progress("half")
		if workers, given := c.Flag("workers"); given {
			c.Printf("workers %s %v\n", workers, c.Colour)
		}
		return c.Write("report", []byte("<html>"))
	}})
	var all []string
	err := client.Do(t.Context(), "run", control.Asked{Args: []string{"x", "--workers", "3", "--report", "f"}, Colour: true}, func(s control.Said) {
		if len(all) == 0 {
			close(seen)
		}
		all = append(all, fmt.Sprintf("%s%s%s%s", s.Out, s.Progress, s.Flag, s.File))
	})
	if got := strings.Join(all, "|"); err != nil || got != "first [x]\n|half|workers 3 true\n|report<html>|" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A verb that printed for as long as somebody watched ended with its version.
func TestAVerbGoesOnInTheNextCall(t *testing.T) {
	client := talker(t, Verb{Name: "watch", Args: "WHAT", Do: func(_ context.Context, c *Call) error {
		c.Printf("%v\n", c.GoOn("x", c.Args[0]))
		return nil
	}})
	for _, tt := range []struct {
		goes bool
		want string
	}{{true, "[x y]true"}, {false, "false"}} {
		var all strings.Builder
		err := client.Do(t.Context(), "watch", control.Asked{Args: []string{"y"}, Goes: tt.goes}, func(s control.Said) {
			if s.GoOn != nil {
				fmt.Fprint(&all, s.GoOn.Args)
			}
			all.WriteString(strings.TrimSpace(s.Out))
		})
		if err != nil || all.String() != tt.want {
			t.Errorf("goes on %v: got %q, %v", tt.goes, all.String(), err)
		}
	}
}

// How a verb goes on comes with what it has printed: neither can be lost alone.
func TestAVerbSaysHowItGoesOnIfItIsLost(t *testing.T) {
	client := talker(t, Verb{Name: "watch", Do: func(_ context.Context, c *Call) error {
		for n := range 2 {
			c.IfLost(fmt.Sprint("after ", n))
			c.Printf("%d", n)
			c.Note("seen")
		}
		return nil
	}})
	var all []string
	err := client.Do(t.Context(), "watch", control.Asked{}, func(s control.Said) {
		if s.Lost != nil {
			s.Out += fmt.Sprint(s.Lost.Args)
		}
		all = append(all, s.Out+s.Note)
	})
	if got := strings.Join(all, "|"); err != nil || got != "0[after 0]|seen|1[after 1]|seen|" {
		t.Errorf("got %q, %v", got, err)
	}
}

// What a verb had not read yet when it first printed was thrown away, and a slow caller held up both.
func TestAVerbAnswersWhileItsInputComes(t *testing.T) {
	client := talker(t, Verb{Name: "load", Do: func(_ context.Context, c *Call) error {
		for in := json.NewDecoder(c.Input); ; {
			var n int
			if err := in.Decode(&n); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			c.Printf("%d", n)
		}
	}})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	in, feed := io.Pipe()
	context.AfterFunc(ctx, func() { _ = feed.CloseWithError(ctx.Err()) })
	rest, got := []string{"1", "2", "3"}, ""
	more := func() { // blocks until it is sent
		if len(rest) == 0 {
			_ = feed.Close()
			return
		}
		next := rest[0]
		rest = rest[1:]
		_, _ = io.WriteString(feed, next+"\n")
	}
	go more()
	err := client.Do(ctx, "load", control.Asked{Input: in}, func(s control.Said) {
		if got += s.Out; s.Out != "" {
			more()
		}
	})
	if err != nil || got != "123" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestErrorsOfAVerbThatAnswersBitByBit(t *testing.T) {
	client := talker(t, Verb{Name: "run", Args: "[WHAT]", Flags: labFlags, Do: func(_ context.Context, c *Call) error {
		switch append(c.Args, "")[0] {
		case "usage":
			return Usagef("not so")
		case "late":
			c.Printf("begun\n")
			return errors.New("broken")
		case "write":
			return c.Write("workers", nil)
		}
		return errors.New("at once")
	}})
	for what, want := range map[string]string{
		"usage": "*control.UsageError not so", "late": "*control.VerbError broken", "now": "*control.VerbError at once",
		"--fast": "*control.UsageError unknown flag --fast: there are --strategy, --workers, --report, --json",
		"write":  "*control.UsageError --workers: this client writes no files",
	} {
		err := client.Do(t.Context(), "run", control.Asked{Args: []string{what}}, func(control.Said) {})
		if got := fmt.Sprintf("%T %v", err, err); got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
}

// The command ended with 0, or complained on stderr of what stood on stdout.
func TestAVerbThatFailsMayPrintItsAnswer(t *testing.T) {
	client := talker(t, Verb{Name: "check", Do: func(_ context.Context, c *Call) error {
		c.Printf("blocked\n")
		return ErrSaid
	}})
	got := ""
	err := client.Do(t.Context(), "check", control.Asked{}, func(s control.Said) { got += s.Out })
	var failed *control.VerbError
	if !errors.As(err, &failed) || failed.Message != "" || got != "blocked\n" {
		t.Errorf("got %q and %#v", got, err)
	}
	if _, err := client.Call(t.Context(), "check"); !errors.As(err, &failed) || failed.Message != "blocked" {
		t.Errorf("got %#v", err)
	}
}

func TestTheContextOfAVerbEndsWithItsCaller(t *testing.T) {
	begun, ended := make(chan bool), make(chan error, 1)
	client := talker(t, Verb{Name: "run", Do: func(ctx context.Context, c *Call) error {
		close(begun)
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}})
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	go func() { <-begun; cancel(enough) }()
	if err := client.Do(ctx, "run", control.Asked{}, func(control.Said) {}); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	if err := <-ended; err == nil {
		t.Error("the verb went on")
	}
}

func TestWhoWantsTheWholeAnswerGetsIt(t *testing.T) {
	client := talker(t,
		Verb{Name: "run", Do: func(_ context.Context, c *Call) error { c.Printf("a\nb\n"); c.Progress("no"); return nil }},
		Verb{Name: "get", Run: func(context.Context, []string) (string, error) { return "text", nil }})
	if got, err := client.Call(t.Context(), "run"); err != nil || got != "a\nb" {
		t.Errorf("got %q %v", got, err)
	}
	got := ""
	err := client.Do(t.Context(), "get", control.Asked{}, func(s control.Said) { got += s.Out })
	if err != nil || got != "text" {
		t.Errorf("got %q %v", got, err)
	}
}
