package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// againEvery is the pause before a verb is called again whose service has ended.
const againEvery = 200 * time.Millisecond

// lost is how a verb goes on whose service ends before the verb is done.
type lost struct {
	words []string    // what it is called with then; nil if it does not go on
	since time.Time   // zero while it answers
	over  *time.Timer // ends the wait for an answer
}

// answered notes what the service says.
func (l *lost) answered(s control.Said) {
	if s.Lost != nil {
		l.words = s.Lost.Args
	}
	if !l.since.IsZero() {
		l.since = time.Time{}
		l.over.Stop()
	}
}

// bound ends a call for which the service was lost before, and which is not answered either. The caller calls done after it.
func (l *lost) bound(stop context.CancelCauseFunc) (done func() bool) {
	if l.since.IsZero() {
		return func() bool { return false }
	}
	l.over = time.AfterFunc(time.Until(l.since.Add(answerTime)), func() { stop(fmt.Errorf("no answer within %s", answerTime)) })
	return l.over.Stop
}

// comesAgain is true, after a pause, if a verb is to be called again because its service has ended. It is false once there was no
// answer for answerTime.
func (c *call) comesAgain(ctx context.Context, err error) bool {
	var gone *control.LostError
	var dial *control.DialError
	if c.lost.words == nil || ctx.Err() != nil || !errors.As(err, &gone) && !errors.As(err, &dial) {
		return false
	}
	if c.lost.since.IsZero() {
		c.lost.since = time.Now()
		c.say("the service does not answer: coming again")
	}
	select {
	case <-ctx.Done():
	case <-time.After(againEvery):
	}
	return time.Since(c.lost.since) < answerTime
}
