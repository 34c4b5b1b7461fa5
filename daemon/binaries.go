package daemon

import (
	"context"
	"sync"

	"github.com/theseusd/theseus/daemon/internal/program"
)

// binaries are the copies of the daemons' binaries below dir. None is removed while another daemon is made ready: the
// keel knows of its copy only in the end.
type binaries struct {
	dir  string
	used sync.Mutex
}

// use keeps all copies until the end.
func (b *binaries) use() (end func()) {
	b.used.Lock()
	return b.used.Unlock
}

// prune removes all but those in use, by their digests. While another daemon is made ready it leaves that to the next.
func (b *binaries) prune(inUse func() ([]string, error)) error {
	if !b.used.TryLock() {
		return nil
	}
	defer b.used.Unlock()
	keep, err := inUse()
	if err != nil {
		return err
	}
	return program.Prune(b.dir, keep...)
}

// prune keeps the binaries of this daemon and of the one before, if the keel goes by them.
func (d *Daemon) prune(ctx context.Context) {
	err := d.copies.prune(func() ([]string, error) {
		known, err := d.keel.Daemons(ctx)
		return []string{known.Charge.Digest, known.Previous.Digest}, err
	})
	if err != nil {
		d.log.Warn("old binaries of the daemon stay", "error", err)
	}
}
