package supervise

import "context"

type answer[R any] struct {
	value R
	err   error
}

// ask has f run by the supervisor, between what else it does, and waits for the answer.
func ask[R any](ctx context.Context, s *Supervisor, f func() (R, error)) (R, error) {
	var none R
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	reply := make(chan answer[R], 1)
	s.inbox.put(message{do: func() error {
		value, err := f()
		reply <- answer[R]{value, err}
		return nil
	}})
	select {
	case a := <-reply:
		return a.value, a.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	case <-s.gone:
	}
	select {
	case a := <-reply: // the last thing it did
		return a.value, a.err
	default:
		return none, ErrNoProc
	}
}

func (s *Supervisor) do(ctx context.Context, f func() error) error {
	_, err := ask(ctx, s, func() (struct{}, error) { return struct{}{}, f() })
	return err
}
