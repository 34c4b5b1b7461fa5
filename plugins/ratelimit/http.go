package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
	"github.com/theseusd/theseus/plugins/ratelimit/internal/policy"
	"github.com/theseusd/theseus/sdk/clock"
	"github.com/theseusd/theseus/sdk/web"
)

// routes is the HTTP interface. A check that is refused answers 429; it carries the headers of
// draft-ietf-httpapi-ratelimit-headers either way. What a page of another site has a browser ask for is refused.
func (l *limiter) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /check/{key}", l.serveCheck)
	mux.HandleFunc("GET /check/{key}", l.serveCheck) // charges nothing
	mux.HandleFunc("DELETE /check/{key}", l.serveChange((*limiter).serveReset))
	mux.HandleFunc("POST /check", l.serveChecks)
	mux.HandleFunc("POST /refund/{key}", l.serveChange((*limiter).serveRefund))
	mux.HandleFunc("DELETE /leases/{key}/{lease}", l.serveChange((*limiter).serveRelease))
	mux.HandleFunc("PUT /leases/{key}/{lease}", l.serveChange((*limiter).serveRenew))
	mux.HandleFunc("GET /policies", l.servePolicies)
	mux.HandleFunc("PUT /policies/{name}", l.serveSet)
	mux.HandleFunc("DELETE /policies/{name}", l.serveRemove)
	mux.HandleFunc("GET /top", l.serveTop)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		web.Fail(w, http.StatusNotFound, fmt.Sprintf("no %s %s; try POST /check/KEY", r.Method, r.URL.Path))
	})
	return http.NewCrossOriginProtection().Handler(mux)
}

// serveCheck asks for one key: ?policy=NAME,NAME&cost=N&dry_run=1.
func (l *limiter) serveCheck(w http.ResponseWriter, r *http.Request) {
	asks, err := l.asksOf(r)
	if err != nil {
		fail(w, err)
		return
	}
	l.answer(w, asks, r.Method == http.MethodGet || isTrue(r.URL.Query().Get("dry_run")))
}

// serveChecks asks for several keys at once.
func (l *limiter) serveChecks(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Limits []struct {
			Policy string `json:"policy"`
			Key    string `json:"key"`
			Cost   *int64 `json:"cost"`
		} `json:"limits"`
		DryRun bool `json:"dry_run"`
	}
	if err := web.Read(w, r, &body); err != nil {
		fail(w, err)
		return
	}
	if len(body.Limits) > maxAsks {
		fail(w, errAsks)
		return
	}
	asks := make([]ask, len(body.Limits))
	for i, one := range body.Limits {
		found, err := l.policies.find(cmp.Or(one.Policy, standard.Name))
		if err != nil {
			fail(w, err)
			return
		}
		asks[i] = ask{found, one.Key, 1}
		if one.Cost != nil {
			asks[i].cost = *one.Cost
		}
	}
	l.answer(w, asks, body.DryRun)
}

func (l *limiter) answer(w http.ResponseWriter, asks []ask, look bool) {
	v, err := l.check(asks, look)
	if err != nil {
		fail(w, err)
		return
	}
	status := http.StatusOK
	addHeaders(w.Header(), v)
	if !v.allowed {
		status = http.StatusTooManyRequests
	}
	web.Reply(w, status, v.view())
}

// asksOf are the limits that a request's query names.
func (l *limiter) asksOf(r *http.Request) (asks []ask, err error) {
	query, cost := r.URL.Query(), int64(1)
	if word := query.Get("cost"); word != "" {
		if cost, err = strconv.ParseInt(word, 10, 64); err != nil {
			return nil, wrongf("cost=%.32s: want a number", word)
		}
	}
	return l.asksFor(query.Get("policy"), r.PathValue("key"), cost)
}

// limitHeaders tell of every limit of a call: what it is, what is left, and in how many seconds all of it is there again.
func limitHeaders(v verdict) (rateLimitPolicy, rateLimit string) {
	policies, left := make([]string, len(v.answers)), make([]string, len(v.answers))
	for i, a := range v.answers {
		policies[i] = fmt.Sprintf("%q;q=%d", a.ask.rule.name, a.Limit)
		if w := clock.Seconds(a.ask.rule.Window()); w > 0 {
			policies[i] += fmt.Sprintf(";w=%d", w)
		}
		left[i] = fmt.Sprintf("%q;r=%d;t=%d", a.ask.rule.name, a.Remaining, clock.Seconds(a.Reset))
	}
	return strings.Join(policies, ", "), strings.Join(left, ", ")
}

func addHeaders(h http.Header, v verdict) {
	policies, left := limitHeaders(v)
	h.Set("RateLimit-Policy", policies)
	h.Set("RateLimit", left)
	if worst := v.worst(); !v.allowed && worst.Retry != limit.Never {
		h.Set("Retry-After", strconv.FormatInt(clock.Seconds(worst.Retry), 10))
	}
}

// serveChange does something to one key under one policy.
func (l *limiter) serveChange(do func(*limiter, *http.Request, ask) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		asks, err := l.asksOf(r)
		if err == nil && len(asks) != 1 {
			err = wrong("one policy at a time")
		}
		if err == nil {
			err = do(l, r, asks[0])
		}
		if err != nil {
			fail(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func (l *limiter) serveReset(_ *http.Request, a ask) error {
	_, err := l.reset(a)
	return err
}

func (l *limiter) serveRefund(_ *http.Request, a ask) error { return l.refund(a) }

func (l *limiter) serveRelease(r *http.Request, a ask) error {
	id, err := leaseOf(r.PathValue("lease"))
	if err != nil {
		return err
	}
	return l.release(a, id)
}

func (l *limiter) serveRenew(r *http.Request, a ask) error {
	id, err := leaseOf(r.PathValue("lease"))
	if err != nil {
		return err
	}
	return l.renew(a, id)
}

// policyView is a policy and where it comes from.
type policyView struct {
	policy.Policy
	Source string `json:"source"`
}

func (l *limiter) policyViews() []policyView {
	var all []policyView
	for _, e := range l.policies.now.Load().list() {
		all = append(all, policyView{e.spec, e.source})
	}
	return all
}

func (l *limiter) servePolicies(w http.ResponseWriter, _ *http.Request) {
	web.Reply(w, http.StatusOK, l.policyViews())
}

func (l *limiter) serveSet(w http.ResponseWriter, r *http.Request) {
	one := policy.Policy{Name: r.PathValue("name")}
	if err := web.Read(w, r, &one); err != nil {
		fail(w, err)
		return
	}
	err := error(wrong("the name in the body is another one"))
	if one.Name == r.PathValue("name") {
		err = l.policies.set(one)
	}
	if err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (l *limiter) serveRemove(w http.ResponseWriter, r *http.Request) {
	if err := l.policies.remove(r.PathValue("name")); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (l *limiter) serveTop(w http.ResponseWriter, _ *http.Request) {
	web.Reply(w, http.StatusOK, l.blocked.top(topLines))
}

// fail answers with an error and whose fault it is.
func fail(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	var unknown unknownPolicy
	switch {
	case errors.As(err, &unknown), errors.Is(err, errLease), errors.Is(err, errNotByHand):
		status = http.StatusNotFound
	case callersFault(err):
		status = http.StatusBadRequest
	}
	web.Fail(w, status, err.Error())
}

func isTrue(word string) bool {
	yes, _ := strconv.ParseBool(word)
	return yes
}
