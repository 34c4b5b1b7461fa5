package upgrades

import "context"

// finish is what follows from the record "permanent": the new versions are the host's, write their own shape only,
// and the old ones end. Boot does the same, should this be cut short.
func (f *flight) finish(ctx context.Context) {
	f.e.Supervise()
	for _, m := range f.moves {
		switch {
		case m.Do == doStop:
			f.stop(ctx, m, m.old)
			f.e.host.Give(m.Service, nil)
		case m.new == nil:
			f.e.host.Give(m.Service, Gone(m.to))
		default:
			f.e.host.Give(m.Service, m.new)
		}
	}
	f.settled()
	for _, m := range f.moves {
		f.e.settle(ctx, m.new)
		f.stop(ctx, m, m.old)
	}
}
