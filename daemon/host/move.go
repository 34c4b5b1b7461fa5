package host

import (
	"cmp"
	"context"
	"time"

	"github.com/theseusd/theseus/sdk/supervise"
)

// isLoose is true if the service was given and no supervisor has it.
func (s *service) isLoose() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fresh
}

// isLeft is true for a service that was stopped with others in a group that has become another one since: those whose
// restart would have started it may be gone.
func (t *tree) isLeft(ctx context.Context, g *group, s *service) bool {
	if !g.isChanged() || !s.isDue() || !t.isFree(ctx, g) {
		return false
	}
	info, err := g.sup.Child(ctx, s.name)
	return err == nil && info.State == supervise.Terminated
}

// isDue is true for a service that a supervisor is to start again.
func (s *service) isDue() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child == nil && !s.loose
}

// settle says which group the service is in. No other one starts it: a group that was at work when the service left it may
// still try to.
func (s *service) settle(at *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.home = at
}

// move has the service run on when its supervisor ends it.
func (s *service) move() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moving = true
}

// loosen ends move: the service has no supervisor now, and the next one is to see what has become of it.
func (s *service) loosen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loose = s.child == nil
	s.fresh, s.halted, s.moving = s.loose, false, false
}

// down marks a service whose supervisor has ended, unless somebody else has it or has just given it. Without a reason the one
// that it was stopped for stays. again is when the supervisor begins again, zero for never.
func (s *service) down(state, reason string, again time.Time) (version string, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken || s.serving == nil || !isDone(s.serving) {
		return "", false
	}
	s.state, s.reason, s.again = state, cmp.Or(reason, s.reason), again
	return s.serving.Package().Version, true
}

// abandon has no supervisor start the service again, unless it was given while the last one was ending.
func (s *service) abandon(state, reason string) {
	s.down(state, reason, time.Time{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loose = s.child == nil
	s.fresh, s.given = s.loose && s.given, false
}

// wasGiven is true once after the service was given while its supervisor was ending.
func (s *service) wasGiven() (given bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	given, s.given = s.given, false
	return given
}
