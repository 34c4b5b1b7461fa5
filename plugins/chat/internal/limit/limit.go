// Package limit bounds how much each user says: as the service ratelimit decides it, where there is one, or else here.
//
//	Allow ──▶ ratelimit: POST /check/USER?policy=NAME ──▶ 200 or 429
//	              │ no answer within [Patience], or another: not asked again for [Pause]
//	              ▼
//	          here: [Rate], by GCRA; what was used is forgotten when the version ends
package limit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// How long the service ratelimit is waited for, and left alone when it has not answered.
const (
	Patience = 100 * time.Millisecond
	Pause    = time.Second
)

// Rate is so many messages in so much time, all of them at once if somebody likes. The zero value is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// ParseRate reads "20/1s".
func ParseRate(text string) (Rate, error) {
	if text == "" {
		return Rate{}, nil
	}
	count, per, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	d, wrong := time.ParseDuration(per)
	if err != nil || wrong != nil || n < 1 || d < time.Millisecond {
		return Rate{}, fmt.Errorf("%q: want a number and a duration, such as 20/1s", text)
	}
	return Rate{n, d}, nil
}

// Limiter knows what users have said. Make one with New.
type Limiter struct {
	rate   Rate
	check  string // where ratelimit is asked; empty if it is not
	policy string
	client http.Client

	mu   sync.Mutex
	full map[string]time.Time // when what a user has used is there again
	tidy int                  // how many users there may be until those are forgotten who have used nothing
	rest time.Time            // ratelimit is not asked before
}

// New makes a limiter. service is the address of the service ratelimit, such as http://127.0.0.1:8082; empty if it is not to be
// asked.
func New(rate Rate, service, policy string) *Limiter {
	l := &Limiter{rate: rate, policy: policy, client: http.Client{Timeout: Patience}, full: map[string]time.Time{}, tidy: 1024}
	if service != "" {
		l.check = strings.TrimSuffix(service, "/") + "/check/"
	}
	return l
}

// Allow tells whether a user may say something now, and otherwise in how long.
func (l *Limiter) Allow(ctx context.Context, user string) (wait time.Duration, ok bool) {
	now := time.Now()
	if l.check != "" && l.asks(now) {
		if wait, ok, err := l.ask(ctx, user); err == nil {
			return wait, ok
		}
		l.mu.Lock()
		l.rest = now.Add(Pause)
		l.mu.Unlock()
	}
	return l.here(user, now)
}

func (l *Limiter) asks(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !now.Before(l.rest)
}

// ask asks the service ratelimit.
func (l *Limiter) ask(ctx context.Context, user string) (wait time.Duration, ok bool, err error) {
	at := l.check + url.PathEscape(user) + "?policy=" + url.QueryEscape(l.policy)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, at, nil)
	if err != nil {
		return 0, false, err
	}
	res, err := l.client.Do(r)
	if err != nil {
		return 0, false, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 4096)) // so that the connection is used again
	switch res.StatusCode {
	case http.StatusOK:
		return 0, true, nil
	case http.StatusTooManyRequests:
		n, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return time.Duration(n) * time.Second, false, nil
	}
	return 0, false, fmt.Errorf("limit: ratelimit answers %s", res.Status)
}

// here decides by what was said in this process.
func (l *Limiter) here(user string, now time.Time) (wait time.Duration, ok bool) {
	if l.rate.Count == 0 {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.rate.Per / time.Duration(l.rate.Count)
	next := now.Add(one)
	if full := l.full[user]; full.After(now) {
		next = full.Add(one)
	}
	if over := next.Sub(now) - one*time.Duration(l.rate.Count); over > 0 {
		return over, false
	}
	l.full[user] = next
	if len(l.full) > l.tidy {
		l.forget(now)
	}
	return 0, true
}

func (l *Limiter) forget(now time.Time) {
	for user, full := range l.full {
		if !full.After(now) {
			delete(l.full, user)
		}
	}
	l.tidy = 2*len(l.full) + 1024
}
