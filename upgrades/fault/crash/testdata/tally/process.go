package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/otp"
	"github.com/theseusd/theseus/sdk/state"
)

// Add counts one more, Get does not. Both are answered with the count and who has counted.
type (
	Add struct{ otp.Reply[string] }
	Get struct{ otp.Reply[string] }
)

// Later is mail: the count comes when a timer has fired, which sends Land.
type (
	Later struct{}
	Land  struct{}
)

// landing is how long mail waits: long enough for most switches to come between.
const landing = 200 * time.Millisecond

// processes are counters in processes, each under a name.
type processes[T any, P counter[T]] struct {
	node *otp.Node
	kind *otp.Behaviour[T]
}

func newProcesses[T any, P counter[T]](s *sdk.Setup, schema state.Schema[T]) processes[T, P] {
	b := &otp.Behaviour[T]{Name: "counter", State: schema, Persist: true}
	answer := func(c *otp.Ctx, s *T) (string, error) { return fmt.Sprintf("%d %s", P(s).count(), c.Self()), nil }
	otp.OnCall(b, func(c *otp.Ctx, s *T, _ Add) (string, error) { P(s).inc(); return answer(c, s) })
	otp.OnCall(b, func(c *otp.Ctx, s *T, _ Get) (string, error) { return answer(c, s) })
	otp.OnCast(b, func(c *otp.Ctx, _ *T, _ Later) error { c.SendAfter(landing, Land{}); return nil })
	otp.OnCast(b, func(_ *otp.Ctx, s *T, _ Land) error { P(s).inc(); return nil })
	return processes[T, P]{s.Node(otp.Options{Behaviours: []otp.AnyBehaviour{b}}), b}
}

func (p processes[T, P]) add(key string) (string, error) { return p.call(key, Add{}) }
func (p processes[T, P]) get(key string) (string, error) { return p.call(key, Get{}) }

func (p processes[T, P]) mail(key string) error {
	if _, err := p.get(key); err != nil {
		return err
	}
	return otp.Cast(p.node, otp.Name(key), Later{})
}

// call asks the process of that name, which begins with the first question.
func (p processes[T, P]) call(key string, m otp.Request[string]) (string, error) {
	for {
		text, err := otp.Call(p.node, otp.Name(key), m)
		if !errors.Is(err, otp.ErrNoProc) {
			return text, err
		}
		if _, err := otp.Start(p.node, p.kind, nil, otp.Named(otp.Name(key))); err != nil && !errors.Is(err, otp.ErrTaken) {
			return "", err
		}
	}
}
