package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/durable"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/trust"
)

// Add checks the package file at path and keeps it. A package that is there already is returned as it is, and is not Fresh; one that
// is there but damaged is replaced. The file itself stays where it is. A package that is refused is a *RejectError; any
// other error says nothing about the package.
func (s *Store) Add(ctx context.Context, path string) (Package, error) {
	p, err := s.add(ctx, path)
	var r *RejectError
	if errors.As(err, &r) && r.File == "" {
		r.File = filepath.Base(path)
	}
	if err != nil && r == nil {
		err = fmt.Errorf("add %s: %w", path, err)
	}
	return p, err
}

func (s *Store) add(ctx context.Context, path string) (Package, error) {
	f, err := s.open(path)
	if err != nil {
		return Package{}, err
	}
	defer f.Close() // only read from
	tmp, err := os.MkdirTemp(s.dir, tmpPrefix)
	if err != nil {
		return Package{}, err
	}
	lock, err := lockDir(tmp)
	if err != nil {
		return Package{}, errors.Join(err, os.RemoveAll(tmp))
	}
	defer lock.Close()
	c := &candidate{store: s, file: filepath.Base(path), dir: tmp, limits: s.limits}
	p, err := c.admit(ctx, f)
	if left := os.RemoveAll(tmp); left != nil {
		err = errors.Join(err, left)
	}
	if err != nil {
		return Package{}, err
	}
	return p, nil
}

// open opens a package file: a regular one, not too large, and never through a link.
func (s *Store) open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, &RejectError{Reason: "it is a symbolic link", Hint: "copy the file itself"}
	case errors.Is(err, unix.ENXIO):
		return nil, &RejectError{Reason: "it is no regular file"} // a socket
	case err != nil:
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = &RejectError{Reason: "it is no regular file"}
	case info.Size() > s.limits.file:
		err = &RejectError{Reason: fmt.Sprintf("it has %d bytes; at most %d are allowed", info.Size(), s.limits.file)}
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}

// candidate is a package on its way into the store.
type candidate struct {
	store  *Store
	file   string // base name of the package file
	dir    string // where it is unpacked
	limits limits

	meta     meta
	describe []byte
	pack     Package
}

var _ checker = (*candidate)(nil)

// admit takes a package through all checks. Nothing but the first two files is unpacked before somebody whom the
// instance trusts has vouched for all of it, and nothing of it is executed before it has said what it is.
func (c *candidate) admit(ctx context.Context, f *os.File) (Package, error) {
	info, err := f.Stat()
	if err != nil {
		return Package{}, err
	}
	l := c.limits.of(info.Size())
	if err := unpack(ctx, io.LimitReader(f, l.file), c.dir, l, c); err != nil {
		return Package{}, err
	}
	c.pack.Digest = c.meta.digest()
	if p, err := c.store.Get(c.pack.Digest); err == nil {
		return c.again(p)
	}
	for _, check := range []func() error{c.checkManifest, c.checkDescribe, c.checkMachine, c.checkVersion} {
		if err := check(); err != nil {
			return Package{}, err
		}
	}
	if err := c.run(ctx); err != nil {
		return Package{}, err
	}
	return c.keep()
}

// announced refuses a file whose header does not say what was signed.
func (c *candidate) announced(name string, size int64) error {
	if want, ok := c.meta.Files[name]; ok && size != want.Size {
		return reject("%s has %d bytes, but %s says %d", name, size, metaFile, want.Size)
	}
	return nil
}

// unpacked asks who vouches for the package once its signature is there, and compares all that follows with what they
// vouch for.
func (c *candidate) unpacked(name string, p part) error {
	switch {
	case name == metaFile: // nobody has vouched for it yet
	case name == signatureFile:
		return c.checkSignature()
	case c.meta.Files[name] != p:
		return &RejectError{Reason: name + " is not the file that was signed: its digest differs", Hint: againHint}
	}
	return nil
}

// checkSignature checks package.json: who signed it, the name of the file, and that it lists all that follows.
func (c *candidate) checkSignature() (err error) {
	if c.pack.Key, c.meta, err = c.store.verify(c.dir); err != nil {
		return refusal(err)
	}
	for _, name := range listed {
		if _, ok := c.meta.Files[name]; !ok {
			return reject("%s does not list %s", metaFile, name)
		}
	}
	return c.checkFileName(c.meta.Name, c.meta.Version)
}

// refusal tells a package that nobody vouches for from a trust directory that cannot be asked.
func refusal(err error) error {
	var bad *trust.SignatureError
	var who *trust.UntrustedError
	var text *metaError
	switch {
	case errors.As(err, &text):
		return &RejectError{Reason: text.Error(), Hint: makeHint, Err: err}
	case errors.As(err, &bad):
		return &RejectError{Reason: bad.Reason, Hint: againHint, Err: err}
	case errors.As(err, &who) && who.Revoked:
		return &RejectError{Reason: who.Error(), Hint: "build it again: reltool build signs with the key of this machine", Err: err}
	case errors.As(err, &who):
		return &RejectError{Reason: who.Error(), Hint: "if you trust whoever built it: reltool trust add FILE.pub", Err: err}
	case errors.Is(err, trust.ErrNoKey):
		return fmt.Errorf("%w: make one with reltool init, or give one with reltool trust add", err)
	}
	return err
}

// again takes a package that is in the store already. What is there keeps its files; it takes over the signature of the
// new one if nobody vouches for its own any more, or if the new one is later.
func (c *candidate) again(p Package) (Package, error) {
	if c.store.Vouch(p) == nil && p.Seq >= c.meta.Seq {
		return p, nil
	}
	if err := c.checkBefore(p.Manifest); err != nil {
		return Package{}, err
	}
	c.store.admit.Lock()
	defer c.store.admit.Unlock()
	for _, step := range []func(dir string) error{exchange, c.prepare, exchange} { // an earlier one may not have come to its end
		if err := step(p.Dir); err != nil {
			return Package{}, err
		}
	}
	return c.store.Get(p.Digest)
}

// checkFileName compares with the name of the file, if that has the form NAME-VERSION.tpk.
func (c *candidate) checkFileName(name, version string) error {
	saysName, saysVersion, ok := ParseFileName(c.file)
	if !ok || saysName == name && saysVersion == version {
		return nil
	}
	return &RejectError{
		Reason: fmt.Sprintf("the file is named %s %s, and in it is %s %s", saysName, saysVersion, name, version),
		Hint:   "its name must be " + FileName(name, version),
	}
}

func (c *candidate) checkManifest() error {
	text, err := c.read(manifestFile)
	if err != nil {
		return err
	}
	m, err := appup.Parse(manifestFile, text)
	if err != nil {
		return &RejectError{Reason: err.Error(), Hint: "correct the manifest and build the package again", Err: err}
	}
	if m.Name != c.meta.Name || m.Version != c.meta.Version {
		return reject("%s is of %s %s, and %s of %s %s", metaFile, c.meta.Name, c.meta.Version, manifestFile, m.Name, m.Version)
	}
	c.pack.Name, c.pack.Version, c.pack.Manifest = m.Name, m.Version, m
	return c.checkBefore(m)
}

// checkBefore checks what package.json tells of earlier versions, which is no part of what the digest names.
func (c *candidate) checkBefore(m *appup.Manifest) error {
	if _, err := parseBefore(m, c.meta.Before); err != nil {
		return &RejectError{Reason: metaFile + ": " + err.Error(), Hint: makeHint, Err: err}
	}
	return nil
}

func (c *candidate) checkDescribe() (err error) {
	if c.describe, err = c.read(describeFile); err != nil {
		return err
	}
	if c.pack.Describe, err = parseDescribe(c.describe); err != nil {
		return &RejectError{Reason: err.Error(), Hint: makeHint, Err: err}
	}
	if err := c.pack.Appup().Check(); err != nil {
		return &RejectError{Reason: err.Error(), Hint: "manifest and binary must agree; build the package again", Err: err}
	}
	return nil
}

// checkMachine checks that the binary can run here, by its own header.
func (c *candidate) checkMachine() error {
	f, err := os.Open(filepath.Join(c.dir, binaryFile))
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	on, err := machineOf(f)
	if errors.Is(err, errNotELF) {
		return reject("its binary cannot be executed: %v", err)
	}
	if err != nil {
		return err
	}
	if on != here {
		return &RejectError{
			Reason: fmt.Sprintf("its binary is for %s, and this machine is %s", on, here),
			Hint:   fmt.Sprintf("build it with GOOS=%s GOARCH=%s", here.os, here.arch),
		}
	}
	if said := (machine{c.meta.OS, c.meta.Arch}); said != on {
		return reject("%s says %s, and the binary is for %s", metaFile, said, on)
	}
	return nil
}

// checkVersion refuses a version that is taken with other content. The caller asks again under the lock.
func (c *candidate) checkVersion() error {
	if c.store.taken != nil {
		if no := c.store.taken(c.pack); no != nil {
			return no
		}
		return nil
	}
	all, err := c.store.List()
	for _, p := range all {
		if p.Name == c.pack.Name && p.Version == c.pack.Version && p.Digest != c.pack.Digest {
			return &RejectError{
				Reason: fmt.Sprintf("%s %s is here already with other content, and a version never changes", p.Name, p.Version),
				Hint:   "raise the version in appup.toml and in the program, and build again",
			}
		}
	}
	var d *DamagedError
	if errors.As(err, &d) {
		return nil // what is damaged is found where it is used
	}
	return err
}

// run lets the binary describe itself and compares.
func (c *candidate) run(ctx context.Context) error {
	text, err := describeIn(ctx, filepath.Join(c.dir, binaryFile), c.dir)
	var bad *DescribeError
	if errors.As(err, &bad) {
		return &RejectError{Reason: bad.Reason, Hint: "run the binary by hand with --describe", Err: err}
	}
	if err != nil {
		return err
	}
	if !sameJSON(text, c.describe) {
		return &RejectError{
			Reason: "`service --describe` does not say what " + describeFile + " says",
			Hint:   "build the package again from this binary",
		}
	}
	return nil
}

// keep puts the package into the store for good. Its files are on disk already.
func (c *candidate) keep() (Package, error) {
	c.store.admit.Lock()
	defer c.store.admit.Unlock()
	if err := c.checkVersion(); err != nil {
		return Package{}, err
	}
	to := filepath.Join(c.store.dir, c.pack.Digest)
	if err := durable.SyncDir(c.dir); err != nil {
		return Package{}, err
	}
	err := os.Rename(c.dir, to)
	there := errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY)
	if there {
		err = c.replace(to)
	}
	if err := errors.Join(err, durable.SyncDir(c.store.dir)); err != nil {
		return Package{}, err
	}
	p, err := c.store.Get(c.pack.Digest)
	p.Fresh = err == nil && !there
	return p, err
}

// replace puts the package where one with this digest is: another Add was faster, or what is there is damaged.
func (c *candidate) replace(to string) error {
	if _, err := c.store.Get(c.pack.Digest); err == nil {
		return nil
	}
	if err := c.store.discard(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(c.dir, to)
}

func (c *candidate) read(name string) ([]byte, error) { return os.ReadFile(filepath.Join(c.dir, name)) }
