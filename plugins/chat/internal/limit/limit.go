// Package limit bounds how much each user says: as the service ratelimit decides it, where there is one, or else here.
//
//	Allow ──▶ ratelimit: POST /check with the policy and the user ──▶ 200 or 429
//	              │ no answer within [Patience], or another: not asked again for [Pause]
//	              ▼
//	          here: [Rate]; what was used is forgotten when the version ends
package limit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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

// Limiter knows what users have said. Make one with New.
type Limiter struct {
	check  string // where ratelimit is asked; empty if it is not
	policy string
	client http.Client

	here *here

	mu   sync.Mutex
	rest time.Time // ratelimit is not asked before
}

// New makes a limiter. service is the address of the service ratelimit, such as http://127.0.0.1:8082; empty if it is not to be
// asked.
func New(rate Rate, service, policy string) *Limiter {
	l := &Limiter{policy: policy, client: http.Client{Timeout: Patience}, here: newHere(rate)}
	if service != "" {
		l.check = strings.TrimSuffix(service, "/") + "/check"
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
	return l.here.allow(user, now)
}

func (l *Limiter) asks(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !now.Before(l.rest)
}

// question has the user in it, who may have any name: not all of them may be parts of a path.
func (l *Limiter) question(user string) []byte {
	b, _ := json.Marshal(map[string]any{"limits": []map[string]string{{"policy": l.policy, "key": user}}})
	return b
}

// ask asks the service ratelimit.
func (l *Limiter) ask(ctx context.Context, user string) (wait time.Duration, ok bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.check, bytes.NewReader(l.question(user)))
	if err != nil {
		return 0, false, err
	}
	r.Header.Set("Content-Type", "application/json")
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
