package journal

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/fault"
)

// What an error of a journal may be.
var (
	ErrPoisoned = errors.New("journal: poisoned")
	ErrLocked   = errors.New("journal: in use by another process")
	ErrNoSpace  = errors.New("journal: no space left")
	ErrClosed   = errors.New("journal: closed")
	ErrPayload  = errors.New("journal: a payload has 1 byte to 1 MiB")
)

// Journal is an open journal. Its methods may be called from several goroutines.
type Journal struct {
	path string
	file file

	write  sync.Mutex // held while a record is written, never during an fsync but that of the record before
	size   int64      // where the next record begins
	seq    uint64     // of the last record
	closed bool

	disk   sync.Mutex // held during an fsync
	synced uint64     // the last record known to be on disk

	fate   sync.Mutex
	broken error // why every further call fails; nil while all is well
}

// file is what a journal needs of *os.File.
type file interface {
	WriteAt(b []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// Append writes a record. It is on disk when Append returns nil.
func (j *Journal) Append(payload []byte) (seq uint64, err error) {
	seq, sync, err := j.Write(payload)
	if err != nil {
		return 0, err
	}
	return seq, sync()
}

// Write writes a record. When it returns, the record survives the process but not yet a loss of power; once sync has
// returned nil, that too. Write waits for the record before it to be on disk, and for nothing else. An error of sync
// poisons the journal; sync may be called from any goroutine, or left to the next call.
func (j *Journal) Write(payload []byte) (seq uint64, sync func() error, err error) {
	if len(payload) == 0 || len(payload) > MaxPayload {
		return 0, nil, fmt.Errorf("%w, this one %d", ErrPayload, len(payload))
	}
	j.write.Lock()
	defer j.write.Unlock()
	if err := j.flush(j.seq); err != nil {
		return 0, nil, err
	}
	if err := j.Err(); err != nil {
		return 0, nil, err
	}
	if err := j.put(encode(nil, Record{Seq: j.seq + 1, Payload: payload})); err != nil {
		return 0, nil, err
	}
	fault.At(fault.JournalWritten)
	j.seq++
	seq = j.seq
	return seq, func() error { return j.flush(seq) }, nil
}

// put writes one record at the end. If it fails, the file is as it was or the journal is poisoned.
func (j *Journal) put(record []byte) error {
	_, err := j.file.WriteAt(record, j.size)
	if err == nil {
		j.size += int64(len(record))
		return nil
	}
	if cut := j.file.Truncate(j.size); cut == nil && noSpace(err) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return j.fail(fmt.Errorf("%w: %w", ErrPoisoned, err))
}

// flush runs fsync unless the record seq is on disk already. After one failed fsync the kernel may call the next one
// a success although the pages are gone: so a failure is for good.
func (j *Journal) flush(seq uint64) error {
	j.disk.Lock()
	defer j.disk.Unlock()
	if j.synced >= seq {
		return nil
	}
	if err := j.Err(); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return j.fail(fmt.Errorf("%w: %w", ErrPoisoned, err))
	}
	j.synced = seq
	return nil
}

// fail ends the use of the journal and returns why; the first reason stands.
func (j *Journal) fail(why error) error {
	j.fate.Lock()
	defer j.fate.Unlock()
	if j.broken == nil {
		j.broken = why
	}
	return j.broken
}

// Err is why the journal can no longer be used, nil if it can.
func (j *Journal) Err() error {
	j.fate.Lock()
	defer j.fate.Unlock()
	return j.broken
}

// Close puts everything on disk and gives the file back. Other calls after it fail with ErrClosed.
func (j *Journal) Close() error {
	j.write.Lock()
	defer j.write.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	err := j.flush(j.seq)
	_ = j.fail(ErrClosed)
	return errors.Join(err, j.file.Close())
}

// noSpace says whether a write was refused because the disk, a quota or a limit is full.
func noSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG)
}
