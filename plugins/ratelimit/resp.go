package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
	"github.com/theseusd/theseus/sdk/clock"
	"github.com/theseusd/theseus/sdk/serve/resp"
	"github.com/theseusd/theseus/sdk/web"
)

// serveRESP answers Redis clients: CL.THROTTLE as redis-cell does, RL.CHECK for policies, and what clients say when they
// connect.
func (l *limiter) serveRESP(c *resp.Conn, args [][]byte) {
	var err error
	if string(args[0]) == "CL.THROTTLE" { // as most clients spell it
		err = l.throttle(c, args)
	} else {
		err = l.command(c, args)
	}
	switch {
	case err == nil:
	case callersFault(err):
		c.WriteError("ERR " + err.Error())
	default:
		c.WriteFailure("ERR " + err.Error())
	}
}

func (l *limiter) command(c *resp.Conn, args [][]byte) error {
	switch strings.ToUpper(string(args[0])) {
	case "CL.THROTTLE":
		return l.throttle(c, args)
	case "RL.CHECK":
		return l.respCheck(c, args)
	case "PING":
		c.WriteString("PONG")
	case "COMMAND":
		c.WriteArray(0)
	case "CLIENT", "SELECT":
		c.WriteOK()
	case "HELLO":
		return hello(c, args)
	default:
		return wrongf("unknown command '%.128s'; there are CL.THROTTLE and RL.CHECK", args[0])
	}
	return nil
}

// wrong is a call that cannot be answered as it is.
type wrong string

func (w wrong) Error() string { return string(w) }

func wrongf(format string, args ...any) error { return wrong(fmt.Sprintf(format, args...)) }

// callersFault tells what a caller has done wrong from what this service could not do.
func callersFault(err error) bool {
	var w wrong
	var unknown unknownPolicy
	var field *limit.FieldError
	var body *web.BodyError
	for _, own := range []error{errKey, errAsks, errLease, errKind, errNotByHand, limit.ErrCost, limit.ErrRefund} {
		if errors.Is(err, own) {
			return true
		}
	}
	return errors.As(err, &w) || errors.As(err, &unknown) || errors.As(err, &field) || errors.As(err, &body)
}

// throttle is CL.THROTTLE key max_burst count period [quantity].
func (l *limiter) throttle(c *resp.Conn, args [][]byte) error {
	if len(args) != 5 && len(args) != 6 {
		return wrong("wrong number of arguments for 'cl.throttle' command: key max_burst count period [quantity]")
	}
	n := [4]int64{3: 1} // what quantity is if it is not there
	for i, arg := range args[2:] {
		var ok bool
		if n[i], ok = number(arg); !ok {
			return errNumber
		}
	}
	if n[2] < 1 || n[2] > int64(limit.MaxPer/time.Second) || n[0] < 0 {
		return wrong("max_burst is 0 or more, period is from 1 second to 366 days")
	}
	p := limit.Policy{Limit: n[1], Burst: n[0] + 1, Per: time.Duration(n[2]) * time.Second}
	if err := p.Check(); err != nil {
		return err
	}
	return l.respAnswer(c, ask{rule{Policy: p, name: throttled}, string(args[1]), n[3]})
}

const errNumber wrong = "value is not an integer or out of range"

// number reads an integer of at most eighteen digits: nothing overflows when one is added.
func number(arg []byte) (n int64, ok bool) {
	digits := bytes.TrimPrefix(arg, []byte("-"))
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = 10*n + int64(d-'0')
	}
	if len(digits) < len(arg) {
		n = -n
	}
	return n, true
}

// respCheck is RL.CHECK policy key [cost].
func (l *limiter) respCheck(c *resp.Conn, args [][]byte) error {
	if len(args) != 3 && len(args) != 4 {
		return wrong("wrong number of arguments for 'rl.check' command: policy key [cost]")
	}
	r, err := l.policies.find(string(args[1]))
	if err != nil {
		return err
	}
	cost := int64(1)
	if len(args) == 4 {
		var ok bool
		if cost, ok = number(args[3]); !ok {
			return errNumber
		}
	}
	return l.respAnswer(c, ask{r, string(args[2]), cost})
}

// respAnswer is five integers: limited, limit, remaining, seconds until it may be tried again or -1, seconds until all is
// there again.
func (l *limiter) respAnswer(c *resp.Conn, a ask) error {
	v, err := l.check([]ask{a}, false)
	if err != nil {
		return err
	}
	d := v.answers[0].Decision
	limited, retry := int64(0), int64(-1)
	if !v.allowed {
		limited = 1
		if d.Retry != limit.Never {
			retry = clock.Seconds(d.Retry)
		}
	}
	c.WriteArray(5)
	for _, n := range [...]int64{limited, d.Limit, d.Remaining, retry, clock.Seconds(d.Reset)} {
		c.WriteInt(n)
	}
	return nil
}

func hello(c *resp.Conn, args [][]byte) error {
	if len(args) > 1 {
		n, ok := number(args[1])
		if !ok || c.SetProto(int(n)) != nil {
			c.WriteError("NOPROTO unsupported protocol version")
			return nil
		}
	}
	c.WriteMap(3)
	c.WriteBulkString("server")
	c.WriteBulkString("ratelimit")
	c.WriteBulkString("version")
	c.WriteBulkString(version)
	c.WriteBulkString("proto")
	c.WriteInt(int64(c.Proto()))
	return nil
}
