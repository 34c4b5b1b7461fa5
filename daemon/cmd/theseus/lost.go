package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// againEvery is the pause before a verb is called again whose service has ended.
const againEvery = 200 * time.Millisecond

// comesFor is how long that is tried: longer than the 30 s for which a service rests that has used up its restarts.
const comesFor = time.Minute

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
	l.over = time.AfterFunc(time.Until(l.since.Add(comesFor)), func() { stop(fmt.Errorf("no answer within %s", comesFor)) })
	return l.over.Stop
}

// comesAgain is true, after a pause, if a verb is to be called again because its service has ended. It is false once there was no
// answer for comesFor.
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
	return !c.lost.forGood()
}

// forGood is true once there was no answer for comesFor.
func (l *lost) forGood() bool { return !l.since.IsZero() && time.Since(l.since) >= comesFor }

// onward is how a person has a verb go on for whose service nobody waits any longer.
func (c *call) onward() string {
	words := []string{c.command}
	if c.dir != "" {
		words = append(words, "--dir", c.dir)
	}
	words = append(append(words, c.args[0]), c.lost.words...)
	for i, word := range words {
		if !bare.MatchString(word) {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return "it goes on, once it is there, with: " + strings.Join(words, " ")
}

// bare is a word that a shell takes as it stands.
var bare = regexp.MustCompile(`^[A-Za-z0-9_./:=-]+$`)
