package release

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// proofs are the binaries that were hashed, and as what files. Whatever changes a file changes its state: the kernel
// sets the time of the last change, and nobody else can.
type proofs struct {
	mu     sync.Mutex
	hashed map[string]fileState // by digest of the package
}

// fileState tells a file that was changed, or another one in its place, from the one that was there before.
type fileState struct {
	dev, inode       uint64
	size             int64
	changed, written unix.Timespec
}

func stateOf(f *os.File) (fileState, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fileState{}, &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return fileState{uint64(st.Dev), st.Ino, st.Size, st.Ctim, st.Mtim}, nil
}

// restTime is how long a file must have been left alone until its state proves anything: within the grain of the times
// a second change looks like the first one.
const restTime = 2 * time.Second

func (s fileState) rests(now time.Time) bool { return now.Sub(time.Unix(s.changed.Unix())) > restTime }

// prove hashes the binary of a package, unless the file is as it was when it was hashed last.
func (s *Store) prove(p Package, m meta) error {
	f, err := s.openFile(p, binaryFile)
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	was, err := stateOf(f)
	if err != nil {
		return err
	}
	if s.proofs.have(p.Digest, was) {
		return nil
	}
	if err := f.Sync(); err != nil { // a store into a page that is dirty already would not change the state
		return fmt.Errorf("store: %w", err)
	}
	if _, err := s.hash(f, p, m, binaryFile, io.Discard); err != nil {
		return err
	}
	now, err := stateOf(f)
	if err == nil && now == was && now.rests(s.now()) {
		s.proofs.keep(p.Digest, now)
	}
	return err
}

func (p *proofs) have(digest string, state fileState) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	have, ok := p.hashed[digest]
	return ok && have == state
}

func (p *proofs) keep(digest string, state fileState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hashed == nil {
		p.hashed = map[string]fileState{}
	}
	p.hashed[digest] = state
}

func (p *proofs) drop(digest string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.hashed, digest)
}
