package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/durable"
)

// Open opens the journal at path, creating it with mode 0600 if need be, and returns what is in it. All that it returns
// is on disk. The errors are ErrLocked, *CorruptError, and those of the file system.
func Open(path string) (*Journal, []Record, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("journal: %w", err)
	}
	j, records, err := open(f, path)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return j, records, nil
}

func open(f *os.File, path string) (*Journal, []Record, error) {
	if err := hold(f, path); err != nil {
		return nil, nil, fmt.Errorf("%w: %s", err, path)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, nil, fmt.Errorf("journal: read: %w", err)
	}
	records, end, err := scan(path, text)
	if err != nil {
		return nil, nil, err
	}
	if err := settle(f, path, text, end); err != nil {
		return nil, nil, fmt.Errorf("journal: %w", err)
	}
	seq := last(records)
	return &Journal{path: path, file: f, size: end, seq: seq, synced: seq}, records, nil
}

// hold takes the file for this process. It may not be the journal any more: another process has just put a shorter one
// in its place, and has that.
func hold(f *os.File, path string) error {
	if err := lock(f); err != nil {
		return err
	}
	mine, err := f.Stat()
	if err != nil {
		return err
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(mine, now) {
		return errors.Join(ErrLocked, err)
	}
	if err := os.Remove(path + newSuffix); err != nil && !errors.Is(err, os.ErrNotExist) { // of a compaction that was cut short
		return err
	}
	return nil
}

// lock takes the file for this process, until the last descriptor of it is closed.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// settle cuts the torn tail off and puts on disk what a process may have left in the kernel: the file, and, since it may
// just have been created, its name. After an fsync that failed the kernel has the text, the disk may not, and the pages pass for
// clean: so they are written again. Where that needs space and there is none, the text is as good as before.
func settle(f file, path string, text []byte, end int64) error {
	if end < int64(len(text)) {
		if err := f.Truncate(end); err != nil {
			return fmt.Errorf("cut the torn tail: %w", err)
		}
	}
	if _, err := f.WriteAt(text[:end], 0); err != nil && !noSpace(err) {
		return fmt.Errorf("write it again: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return durable.SyncDir(filepath.Dir(path))
}
