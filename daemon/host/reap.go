package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/theseusd/theseus/daemon/internal/proc"
)

// reapPatience is for one process to end in order.
const reapPatience = 5 * time.Second

// Reap ends every process that records in run name or that runs from one of the programs directories, the youngest
// first: in order where it can, by force where it must. It removes what they leave in run, and says what it does.
// Nobody else may look after them meanwhile.
func Reap(ctx context.Context, run string, say func(string), programs ...string) error {
	records, err := readRecords(run)
	if err != nil {
		return err
	}
	slices.SortFunc(records, func(a, b record) int { return cmp.Compare(b.ID.Start, a.ID.Start) })
	var errs []error
	for _, r := range records {
		errs = append(errs, reap(ctx, r, say))
		r.forget(run)
	}
	strays, err := running(programs)
	for _, id := range strays {
		say(fmt.Sprintf("killing pid %d, which no record names", id.PID))
	}
	ctx, cancel := context.WithTimeout(ctx, proc.KillTimeout)
	defer cancel()
	return errors.Join(append(errs, err, proc.Kill(ctx, strays...), sweepAll(run, say))...)
}

// reap ends the process of one record.
func reap(ctx context.Context, r record, say func(string)) error {
	handle, err := proc.Open(r.ID)
	if errors.Is(err, proc.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%s %s, pid %d", r.Service, r.Version, r.PID)
	_ = handle.Signal(syscall.SIGCONT) // a stopped process could not obey
	_ = handle.Signal(syscall.SIGTERM)
	patient, cancel := context.WithTimeout(ctx, reapPatience)
	defer cancel()
	if handle.Wait(patient) == nil {
		say("ended " + what)
		return nil
	}
	killing, cancel := context.WithTimeout(ctx, proc.KillTimeout)
	defer cancel()
	say("killed " + what)
	return proc.Kill(killing, r.ID)
}

// sweepAll also removes the sockets that a keel holds while it lives, and its own note.
func sweepAll(run string, say func(string)) error {
	if err := sweepFiles(run, nil); err != nil {
		return err
	}
	entries, err := os.ReadDir(run)
	if err != nil {
		return err
	}
	for _, e := range entries {
		socket := e.Type()&os.ModeSocket != 0 || (e.Type()&os.ModeSymlink != 0 && strings.HasSuffix(e.Name(), ".sock"))
		if !socket && !strings.HasPrefix(e.Name(), "daemon.json") {
			continue
		}
		err := os.Remove(filepath.Join(run, e.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		say("removed " + filepath.Join(run, e.Name()))
	}
	return nil
}
