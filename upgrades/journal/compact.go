package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/durable"
	"github.com/theseusd/theseus/sdk/fault"
)

// MaxBase is the size in bytes of the largest payload of a base.
const MaxBase = 64 << 20

// newSuffix names the file that is about to become the journal.
const newSuffix = ".new"

// Compact drops the oldest records. shorten gets all that the journal holds and returns a payload that stands for the
// records before the one of number from; these are gone afterwards, and the base is there in their place. With from 0
// nothing is dropped. What follows keeps its number, and so does what is appended.
//
// The shorter journal is made beside the one that is there, put on disk, and renamed over it: at each instant, also of a
// loss of power, one of the two is there, whole. After an error the longer one goes on, unless nobody knows which of the
// two has its name on disk: then the journal is poisoned.
func (j *Journal) Compact(shorten func(all []Record) (base []byte, from uint64, err error)) error {
	j.write.Lock()
	defer j.write.Unlock()
	if err := j.flush(j.seq); err != nil {
		return err
	}
	if err := j.Err(); err != nil {
		return err
	}
	text, err := j.shorter(shorten)
	if err != nil || text == nil {
		return err
	}
	return j.replace(text)
}

// shorter is the text of the journal without its oldest records; nil if none is to go.
func (j *Journal) shorter(shorten func(all []Record) (base []byte, from uint64, err error)) ([]byte, error) {
	old, err := os.ReadFile(j.path)
	if err != nil {
		return nil, fmt.Errorf("journal: read: %w", err)
	}
	records, _, err := scan(j.path, old)
	if err != nil {
		return nil, err
	}
	base, from, err := shorten(records)
	if err != nil || from == 0 {
		return nil, err
	}
	if len(base) == 0 || len(base) > MaxBase {
		return nil, fmt.Errorf("%w: a base has 1 byte to %d MiB, this one %d bytes", ErrPayload, MaxBase>>20, len(base))
	}
	first := records[0].Seq
	if from <= first || from > j.seq {
		return nil, fmt.Errorf("journal: record %d cannot be the first one to stay: there are %d to %d", from, first, j.seq)
	}
	text := encode(nil, Record{Seq: from - 1, Payload: base, Base: true})
	for _, r := range records[from-first:] {
		text = encode(text, r)
	}
	return text, nil
}

// replace puts a text in the place of the journal.
func (j *Journal) replace(text []byte) (err error) {
	f, err := os.OpenFile(j.path+newSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("journal: compact: %w", err)
	}
	if err := j.swap(f, text); err != nil {
		return errors.Join(fmt.Errorf("journal: compact: %w", err), f.Close(), os.Remove(f.Name()))
	}
	fault.At(fault.JournalRenamed)
	old := j.file
	j.file, j.size = f, int64(len(text))
	if err := durable.SyncDir(filepath.Dir(j.path)); err != nil { // what is appended from now on may be in a file that has no name
		_ = j.fail(fmt.Errorf("%w: %w", ErrPoisoned, err))
		return errors.Join(err, old.Close())
	}
	return old.Close()
}

// swap locks and writes the new file before it has the name by which it can be opened.
func (j *Journal) swap(f *os.File, text []byte) error {
	if err := lock(f); err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	fault.At(fault.JournalCopied)
	return os.Rename(f.Name(), j.path)
}
