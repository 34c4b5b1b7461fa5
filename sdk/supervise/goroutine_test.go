package supervise

import (
	"context"
)

func untilStopped(ctx context.Context, _ *large) error {
	<-ctx.Done()
	return nil
}
