package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/theseusd/theseus/daemon/internal/proc"
	"github.com/theseusd/theseus/sdk/wire"
	"github.com/theseusd/theseus/upgrades"
)

// errUnheard says that a process lives and has not answered.
var errUnheard = errors.New("it does not answer")

// askAgain is how soon a process is asked again that could not be reached.
const askAgain = 100 * time.Millisecond

// Look asks every process that records name whether it is there, and changes nothing: another daemon may be in
// charge. A process that has ended is none of its errors.
func (h *Host) Look(ctx context.Context) error {
	records, err := readRecords(h.o.Run)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range records {
		if _, err := h.ask(ctx, r, attachTimeout); err != nil && !errors.Is(err, proc.ErrGone) {
			errs = append(errs, fmt.Errorf("%s %s, pid %d: %w", r.Service, r.Version, r.PID, err))
		}
	}
	return errors.Join(errs...)
}

// ask is a Status over a connection of its own, which can be given up without harm. It returns errUnheard when the time
// is over, proc.ErrGone when the process is gone.
func (h *Host) ask(ctx context.Context, r record, limit time.Duration) (st upgrades.Status, err error) {
	conn, err := grpc.NewClient("unix:"+r.Addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return st, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	svc := wire.NewServiceClient(conn)
	for {
		reply, err := svc.Status(ctx, &wire.StatusRequest{})
		switch {
		case err == nil:
			return statusOf(reply, r.PID), nil
		case !r.Alive():
			return st, fmt.Errorf("pid %d: %w", r.PID, proc.ErrGone)
		}
		select {
		case <-ctx.Done():
			return st, fmt.Errorf("%w (%w)", errUnheard, err)
		case <-time.After(askAgain):
		}
	}
}
