package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/theseusd/theseus/daemon/host"
	"github.com/theseusd/theseus/daemon/keel"
)

// Reap ends what a theseusd of the instance has left behind, and says on out what that was. It refuses with a
// *keel.LockedError while one runs. A daemon that has just lost its keel is left the time to stop its services itself.
func Reap(ctx context.Context, dir string, out io.Writer) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	p := pathsOf(dir)
	if _, err := os.Stat(p.Run); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is no instance: there is no %s", dir, p.Run)
	}
	release, err := keel.Lock(p.Run)
	if err != nil {
		return err
	}
	defer release()
	said := false
	say := func(text string) {
		said = true
		fmt.Fprintln(out, text) //nolint:errcheck // nobody may be reading, which is fine
	}
	if err := keel.AwaitPrevious(ctx, p.Run, shutdownBudget, say); err != nil {
		return err
	}
	if err := host.Reap(ctx, p.Run, say, p.Store, p.Daemons); err != nil {
		return err
	}
	if err := sweepPrepared(p.State, say); err != nil {
		return err
	}
	if !said {
		fmt.Fprintf(out, "nothing was left in %s\n", dir) //nolint:errcheck // likewise
	}
	return nil
}

// sweepPrepared removes what dead processes prepared for their logs and never published: nobody lives who could want
// it.
func sweepPrepared(state string, say func(string)) error {
	list, err := filepath.Glob(filepath.Join(state, "*", "*.tmp"))
	for _, path := range list {
		if rerr := os.Remove(path); rerr != nil {
			err = errors.Join(err, rerr)
			continue
		}
		say("removed " + path)
	}
	return err
}
