package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/upgrades/appup"
)

// Add checks the package file at path and keeps it. A package that is there already is returned as it is; one that is
// there but damaged is replaced. The file itself stays where it is. A package that is refused is a *RejectError; any
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
	c := &candidate{store: s, file: filepath.Base(path), dir: tmp}
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
	store *Store
	file  string // base name of the package file
	dir   string // where it is unpacked

	digests  map[string]string
	meta     meta
	describe []byte
	pack     Package
}

// admit takes a package through all checks. Up to the digest nothing of it has been trusted, and up to its own
// description nothing of it has been executed: between the two is the place to ask whether somebody vouches for it.
func (c *candidate) admit(ctx context.Context, f *os.File) (Package, error) {
	var err error
	if c.digests, c.pack.Digest, err = unpack(ctx, io.LimitReader(f, c.store.limits.file), c.dir, c.store.limits); err != nil {
		return Package{}, err
	}
	if p, err := c.store.Get(c.pack.Digest); err == nil {
		return p, c.checkFileName(p.Name, p.Version)
	}
	for _, check := range []func() error{c.checkMeta, c.checkManifest, c.checkDescribe, c.checkMachine} {
		if err := check(); err != nil {
			return Package{}, err
		}
	}
	if err := c.run(ctx); err != nil {
		return Package{}, err
	}
	return c.keep()
}

// checkMeta checks package.json against the name of the file and the digests of the others.
func (c *candidate) checkMeta() error {
	text, err := c.read(metaFile)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &c.meta); err != nil {
		return &RejectError{Reason: metaFile + " is not readable: " + err.Error(), Hint: makeHint, Err: err}
	}
	for _, name := range contents[1:] {
		if c.meta.Digests[name] != c.digests[name] {
			return reject("%s is not the file that %s was written for: its digest differs", name, metaFile)
		}
	}
	return c.checkFileName(c.meta.Name, c.meta.Version)
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
	to := filepath.Join(c.store.dir, c.pack.Digest)
	if err := syncDir(c.dir); err != nil {
		return Package{}, err
	}
	err := os.Rename(c.dir, to)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		err = c.replace(to)
	}
	if err := errors.Join(err, syncDir(c.store.dir)); err != nil {
		return Package{}, err
	}
	return c.store.Get(c.pack.Digest)
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
