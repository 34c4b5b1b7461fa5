package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/durable"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/trust"
)

// ErrNotFound is wrapped by the error for a digest that is not in the store.
var ErrNotFound = errors.New("no such package in the store")

// DamagedError says that a package in the store is no longer what was checked when it came in.
type DamagedError struct {
	Digest string
	File   string // path of the file that is wrong
	Reason string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("the store is damaged: %s: %s", e.File, e.Reason)
}

// Store is a directory of verified packages. Each is called by the digest of what it is, so that whoever knows the
// digest, as the journal does, gets these bytes or none. Its methods may be called from several goroutines.
type Store struct {
	dir    string
	keys   trust.Dir
	limits limits
	admit  sync.Mutex // held while a package takes its place
	taken  func(Package) *RejectError
	proofs proofs
	now    func() time.Time // tests pretend that time goes by
}

// Ask has the store ask taken, once and before any Add, whether the version of a package that comes in is another
// package's for good. Else every package that is here has its version for good.
func (s *Store) Ask(taken func(Package) *RejectError) { s.taken = taken }

const tmpPrefix = ".tmp-"

// OpenStore opens the store in dir, which takes what the keys vouch for. It creates it with mode 0700 if need be, and
// sweeps what unfinished work has left.
func OpenStore(dir string, keys trust.Dir) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{dir: dir, keys: keys, limits: defaultLimits, now: time.Now}
	if err := errors.Join(s.sweep(), s.finish()); err != nil {
		return nil, fmt.Errorf("store: sweep: %w", err)
	}
	return s, nil
}

// sweep removes temporary directories that nobody is working in.
func (s *Store) sweep() error {
	left, err := filepath.Glob(filepath.Join(s.dir, tmpPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		lock, err := lockDir(dir)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(os.RemoveAll(dir), lock.Close()); err != nil {
			return err
		}
	}
	return nil
}

// lockDir marks a directory as being worked in, until the file is closed or the process ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Get returns the package with that digest after hashing every file of it again; a binary only if its file has changed
// since this Store hashed it. The errors are ErrNotFound, *DamagedError, and those of the file system.
func (s *Store) Get(digest string) (Package, error) {
	p, m, err := s.load(digest)
	if err != nil {
		return Package{}, err
	}
	if err := s.prove(p, m); err != nil {
		return Package{}, err
	}
	return p, nil
}

// Look is Get without the binary: what the package says of itself is verified, and nobody may run it on the strength of
// that.
func (s *Store) Look(digest string) (Package, error) {
	p, _, err := s.load(digest)
	return p, err
}

// Vouch is nil if somebody whom the instance trusts now has signed the package. A package in the store was vouched for
// when it came in; its key may have been removed or revoked since.
func (s *Store) Vouch(p Package) error {
	_, m, err := s.verify(p.Dir)
	if err == nil && m.digest() != p.Digest {
		err = p.damaged(metaFile, "it is of another package")
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", p.Name, p.Version, err)
	}
	return nil
}

// verify asks who signed the package that is unpacked in dir, and returns what they have signed.
func (s *Store) verify(dir string) (id trust.ID, m meta, err error) {
	text, err := os.ReadFile(filepath.Join(dir, metaFile))
	if err != nil {
		return "", m, err
	}
	signature, err := os.ReadFile(filepath.Join(dir, signatureFile))
	if err != nil {
		return "", m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return "", m, &metaError{err}
	}
	id, err = s.keys.Verify(text, signature, m.comment())
	return id, m, err
}

// metaError is a package.json that is none.
type metaError struct{ err error }

func (e *metaError) Error() string { return metaFile + " is not readable: " + e.err.Error() }
func (e *metaError) Unwrap() error { return e.err }

// List returns all packages, by name and version. It does not read the binaries. Packages that cannot be read make an
// error, beside which the others are returned.
func (s *Store) List() ([]Package, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	var all []Package
	var bad []error
	for _, e := range entries {
		if !digestForm.MatchString(e.Name()) {
			continue
		}
		switch p, _, err := s.load(e.Name()); {
		case err == nil:
			all = append(all, p)
		case !errors.Is(err, ErrNotFound): // removed in between
			bad = append(bad, err)
		}
	}
	slices.SortFunc(all, byNameAndVersion)
	return all, errors.Join(bad...)
}

// Versions lists the packages of one service, by version, as List does.
func (s *Store) Versions(service string) ([]Package, error) {
	all, err := s.List()
	return slices.DeleteFunc(all, func(p Package) bool { return p.Name != service }), err
}

// byNameAndVersion orders packages; prereleases come before what they lead to.
func byNameAndVersion(a, b Package) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	x, errX := semver.StrictNewVersion(a.Version)
	y, errY := semver.StrictNewVersion(b.Version)
	if errX == nil && errY == nil && !x.Equal(y) {
		return x.Compare(y)
	}
	return strings.Compare(a.Digest, b.Digest)
}

// Remove removes a package. One that is not there is removed already. A process that runs from it goes on.
func (s *Store) Remove(digest string) error {
	if !digestForm.MatchString(digest) {
		return fmt.Errorf("%w: %q", ErrNotFound, digest)
	}
	s.proofs.drop(digest)
	if err := s.discard(filepath.Join(s.dir, digest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", digest, err)
	}
	return nil
}

// discard takes a directory out of sight in one step, then removes it.
func (s *Store) discard(dir string) error {
	tmp, err := os.MkdirTemp(s.dir, tmpPrefix)
	if err != nil {
		return err
	}
	err = os.Rename(dir, filepath.Join(tmp, "gone"))
	return errors.Join(err, os.RemoveAll(tmp), durable.SyncDir(s.dir))
}

var digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// load reads all of a package but its binary.
func (s *Store) load(digest string) (Package, meta, error) {
	p := Package{Digest: digest, Dir: filepath.Join(s.dir, digest)}
	if !digestForm.MatchString(digest) {
		return Package{}, meta{}, fmt.Errorf("%w: %q", ErrNotFound, digest)
	}
	if _, err := os.Lstat(p.Dir); errors.Is(err, fs.ErrNotExist) {
		return Package{}, meta{}, fmt.Errorf("%w: %s", ErrNotFound, digest)
	}
	m, err := s.fill(&p)
	if err != nil {
		return Package{}, meta{}, err
	}
	return p, m, nil
}

// fill reads package.json, the manifest and the description.
func (s *Store) fill(p *Package) (m meta, err error) {
	text, err := s.text(*p, meta{}, metaFile)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, p.damaged(metaFile, err.Error())
	}
	if m.digest() != p.Digest {
		return m, p.damaged(metaFile, "it is of another package")
	}
	p.Name, p.Version, p.Seq, p.Key = m.Name, m.Version, m.Seq, s.signer(*p)
	if text, err = s.text(*p, m, manifestFile); err != nil {
		return m, err
	}
	if p.Manifest, err = appup.Parse(p.Name+"-"+p.Version+"/"+manifestFile, text); err != nil {
		return m, err
	}
	if text, err = s.text(*p, m, describeFile); err != nil {
		return m, err
	}
	if p.Describe, err = parseDescribe(text); err != nil {
		return m, p.damaged(describeFile, err.Error())
	}
	if p.Before, err = parseBefore(p.Manifest, m.Before); err != nil {
		return m, p.damaged(metaFile, err.Error())
	}
	return m, nil
}

// signer is who the signature says has made it; Vouch asks whether that is true.
func (s *Store) signer(p Package) trust.ID {
	text, err := os.ReadFile(filepath.Join(p.Dir, signatureFile))
	if err != nil {
		return ""
	}
	return trust.SignerOf(text)
}

// text reads one of the small files of a package.
func (s *Store) text(p Package, m meta, name string) ([]byte, error) {
	var b strings.Builder
	n, err := s.file(p, m, name, &b)
	if err == nil && n > s.limits.text {
		err = p.damaged(name, "it has grown")
	}
	return []byte(b.String()), err
}

// file copies a file of a package and compares its digest with the one in m; package.json has none there.
func (s *Store) file(p Package, m meta, name string, to io.Writer) (int64, error) {
	f, err := s.openFile(p, name)
	if err != nil {
		return 0, err
	}
	defer f.Close() // only read from
	return s.hash(f, p, m, name, to)
}

func (s *Store) openFile(p Package, name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(p.Dir, name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
		return nil, p.damaged(name, err.Error())
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return f, nil
}

func (s *Store) hash(f *os.File, p Package, m meta, name string, to io.Writer) (int64, error) {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, to), f)
	if err != nil {
		return n, fmt.Errorf("store: %w", err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); name != metaFile && got != m.Files[name].SHA256 {
		return n, p.damaged(name, fmt.Sprintf("its digest is %.12s…, not %.12s…", got, m.Files[name].SHA256))
	}
	return n, nil
}

func (p Package) damaged(file, reason string) error {
	return &DamagedError{Digest: p.Digest, File: filepath.Join(p.Dir, file), Reason: reason}
}
