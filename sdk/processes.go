package sdk

import (
	"context"

	"github.com/theseusd/theseus/sdk/otp"
)

// processes are those of a service, if it has any: what moves them at a change of role.
type processes struct{ *otp.Hosted }

func (p processes) keep(ctx context.Context, progress func(done, total uint64)) error {
	if p.Hosted == nil {
		return nil
	}
	return p.Keep(ctx, progress)
}

func (p processes) freeze(ctx context.Context) error {
	if p.Hosted == nil {
		return nil
	}
	return p.Freeze(ctx)
}

func (p processes) leave(ctx context.Context) error {
	if p.Hosted == nil {
		return nil
	}
	return p.Leave(ctx)
}

func (p processes) thaw() error {
	if p.Hosted == nil {
		return nil
	}
	return p.Thaw()
}

func (p processes) wake(ctx context.Context, keep bool) error {
	if p.Hosted == nil {
		return nil
	}
	return p.Wake(ctx, keep)
}

func (p processes) settle() {
	if p.Hosted != nil {
		p.Settle()
	}
}

func (p processes) close() {
	if p.Hosted != nil {
		p.Close()
	}
}
