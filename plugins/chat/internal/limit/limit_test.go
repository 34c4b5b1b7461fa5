package limit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestRates(t *testing.T) {
	for text, want := range map[string]Rate{"": {}, "20/1s": {20, time.Second}, "1/10m": {1, 10 * time.Minute}} {
		if got, err := ParseRate(text); got != want || err != nil {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"20", "/1s", "0/1s", "-1/1s", "20/0s", "20/x", "20/1s/3"} {
		if got, err := ParseRate(text); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
}

func TestEachUserHasARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Rate{4, time.Second}, "", "")
		allow := func(user string, want bool, in time.Duration) {
			t.Helper()
			if wait, ok := l.Allow(t.Context(), user); ok != want || wait != in {
				t.Fatalf("got %v in %s, want %v in %s", ok, wait, want, in)
			}
		}
		for range 4 {
			allow("ada", true, 0)
		}
		allow("ada", false, 250*time.Millisecond)
		allow("bob", true, 0)
		time.Sleep(250 * time.Millisecond)
		allow("ada", true, 0)
		allow("ada", false, 250*time.Millisecond)
		time.Sleep(time.Hour)
		for range 4 {
			allow("ada", true, 0)
		}
		allow("ada", false, 250*time.Millisecond)
		for n := range 5000 {
			allow(fmt.Sprint(n), true, 0)
			time.Sleep(time.Second)
		}
		if len(l.here.users) > 2048 {
			t.Errorf("%d users are remembered who have used nothing", len(l.here.users))
		}
	})
}

func TestWhoeverWaitsAsLongAsToldMaySpeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for count := range 300 {
			l := New(Rate{count + 1, time.Duration(count+7) * 31 * time.Millisecond}, "", "")
			for range 10 * (count + 1) {
				if wait, ok := l.Allow(t.Context(), "ada"); !ok {
					time.Sleep(wait)
					if more, ok := l.Allow(t.Context(), "ada"); !ok {
						t.Fatalf("%+v: told to wait %s, and %s more", l.here.Rate, wait, more)
					}
				}
			}
		}
	})
}

func TestTheServiceRatelimitIsAskedWhileItAnswers(t *testing.T) {
	status, asked := http.StatusOK, 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if asked++; r.Method != http.MethodPost || r.URL.Path != "/check" || string(body) != `{"limits":[{"key":"a/b c","policy":"chat"}]}` {
			t.Errorf("got %s %s %s", r.Method, r.URL, body)
		}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
	}))
	defer srv.Close()
	l := New(Rate{1, time.Hour}, srv.URL+"/", "chat")
	for range 3 {
		if _, ok := l.Allow(t.Context(), "a/b c"); !ok {
			t.Fatal("the rate here holds, although the service allows it")
		}
	}
	status = http.StatusTooManyRequests
	if wait, ok := l.Allow(t.Context(), "a/b c"); ok || wait != 7*time.Second {
		t.Errorf("got %v, %s", ok, wait)
	}
	status, asked = http.StatusNotFound, 0
	if _, ok := l.Allow(t.Context(), "a/b c"); !ok || asked != 1 {
		t.Error("where the service has no answer the first message is refused")
	}
	if _, ok := l.Allow(t.Context(), "a/b c"); ok || asked != 1 {
		t.Error("where the service has no answer the rate here does not hold, or it is asked again at once")
	}
}

func TestAServiceThatDoesNotAnswerHoldsNobodyUp(t *testing.T) {
	hang := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer srv.Close()
	defer close(hang)
	l := New(Rate{}, srv.URL, "chat")
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	if _, ok := l.Allow(ctx, "ada"); !ok || ctx.Err() != nil {
		t.Errorf("got %v, %v", ok, ctx.Err())
	}
}
