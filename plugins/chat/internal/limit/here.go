package limit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
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

// here decides by what was said in this process.
type here struct {
	Rate
	mu    sync.Mutex
	users map[string]*rate.Limiter
	tidy  int // how many users there may be until those are forgotten who have used nothing
}

func newHere(r Rate) *here { return &here{Rate: r, users: map[string]*rate.Limiter{}, tidy: 1024} }

// allow tells how long to wait, in whole milliseconds.
func (h *here) allow(user string, now time.Time) (wait time.Duration, ok bool) {
	if h.Count == 0 {
		return 0, true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.user(user, now)
	if one.AllowN(now, 1) {
		return 0, true
	}
	missing := 1 - one.TokensAt(now)
	return time.Millisecond * time.Duration(math.Ceil(missing/float64(one.Limit())*1000)), false
}

func (h *here) user(name string, now time.Time) *rate.Limiter {
	if h.users[name] == nil {
		if len(h.users) >= h.tidy {
			h.forget(now)
		}
		h.users[name] = rate.NewLimiter(rate.Every(h.Per/time.Duration(h.Count)), h.Count)
	}
	return h.users[name]
}

func (h *here) forget(now time.Time) {
	for user, one := range h.users {
		if one.TokensAt(now) >= float64(h.Count) {
			delete(h.users, user)
		}
	}
	h.tidy = 2*len(h.users) + 1024
}
