package release

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// limits are the largest sizes in bytes that a package may have, and how many times its own size it may unpack to. They
// keep a small file from filling the disk.
type limits struct{ file, text, binary, trailer, ratio int64 }

var defaultLimits = limits{file: 512 << 20, text: 1 << 20, binary: 1 << 30, trailer: 1 << 20, ratio: 100}

// of narrows the limits to those of a file of that size.
func (l limits) of(size int64) limits {
	l.binary = min(l.binary, max(l.text, l.ratio*size))
	return l
}

// checker is asked about each file of a package, in order. What it refuses ends the unpacking.
type checker interface {
	announced(name string, size int64) error // by the header, before a byte is written
	unpacked(name string, p part) error
}

// unpacking is one read through a package file.
type unpacking struct {
	dir     string // to fill
	limits  limits
	checker checker
	raw     *input
	file    *bufio.Reader // raw
	gz      *gzip.Reader
	tar     *tar.Reader
}

// unpack fills dir with the files of a package. It trusts nothing and leaves that to the checker; all that it refuses
// itself is a *RejectError.
func unpack(ctx context.Context, file io.Reader, dir string, l limits, c checker) (err error) {
	u := &unpacking{dir: dir, limits: l, checker: c, raw: &input{ctx: ctx, r: file}}
	u.file = bufio.NewReaderSize(u.raw, 1<<16)
	if u.gz, err = gzip.NewReader(u.file); err != nil {
		return u.damaged(err)
	}
	u.gz.Multistream(false)
	u.tar = tar.NewReader(u.gz)
	for _, name := range contents {
		if err := u.next(name); err != nil {
			return err
		}
	}
	return u.end()
}

// next unpacks one file, which must be the one called name. Names are compared, never used as paths.
func (u *unpacking) next(name string) error {
	h, err := u.tar.Next()
	if errors.Is(err, io.EOF) {
		return missingFile(name)
	}
	if err != nil {
		return u.damaged(err)
	}
	if h.Name != name {
		return unexpected(h.Name, name)
	}
	if h.Typeflag != tar.TypeReg {
		return reject("%s is no regular file in it", name)
	}
	if h.Mode&0o7000 != 0 {
		return reject("%s is setuid, setgid or sticky in it", name)
	}
	limit, mode := u.limits.text, os.FileMode(0o400)
	if name == binaryFile {
		limit, mode = u.limits.binary, 0o500
	}
	if h.Size > limit {
		return reject("%s has %d bytes; at most %d are allowed", name, h.Size, limit)
	}
	if err := u.checker.announced(name, h.Size); err != nil {
		return err
	}
	return u.write(name, mode)
}

// write copies the current file to the disk.
func (u *unpacking) write(name string, mode os.FileMode) error {
	f, err := os.OpenFile(filepath.Join(u.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	h := sha256.New()
	content := &input{ctx: u.raw.ctx, r: u.tar}
	n, err := io.Copy(io.MultiWriter(f, h), content)
	if content.err != nil {
		err = u.damaged(content.err)
	}
	if err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return u.checker.unpacked(name, part{hex.EncodeToString(h.Sum(nil)), n})
}

// end checks that nothing follows, to the end of the file.
func (u *unpacking) end() error {
	h, err := u.tar.Next()
	if err == nil {
		return unexpected(h.Name, "")
	}
	if !errors.Is(err, io.EOF) {
		return u.damaged(err)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(u.gz, u.limits.trailer))
	if err != nil {
		return u.damaged(err)
	}
	if n == u.limits.trailer {
		return reject("it goes on behind its last file")
	}
	switch _, err := u.file.ReadByte(); {
	case err == nil:
		return reject("bytes follow the package in the file")
	case !errors.Is(err, io.EOF):
		return u.damaged(err)
	}
	return nil
}

// damaged makes a refusal of what the decoders say, unless the file could not be read in the first place.
func (u *unpacking) damaged(err error) error {
	switch {
	case u.raw.ctx.Err() != nil:
		return context.Cause(u.raw.ctx)
	case u.raw.err != nil:
		return u.raw.err
	case errors.Is(err, gzip.ErrHeader):
		return &RejectError{Reason: "it is no package: not compressed with gzip", Hint: makeHint, Err: err}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &RejectError{Reason: "it is truncated", Hint: "build it again, or copy it again under another name, then rename it: the file that was copied may be bad itself", Err: err}
	}
	return &RejectError{Reason: "it is damaged: " + err.Error(), Hint: againHint, Err: err}
}

const (
	makeHint  = "make packages with `reltool build`"
	againHint = "build it or copy it again"
)

func reject(format string, args ...any) error {
	return &RejectError{Reason: fmt.Sprintf(format, args...), Hint: makeHint}
}

// unexpected refuses the entry got where want should be; no more is to come if want is empty.
func unexpected(got, want string) error {
	if slices.Contains(contents[slices.Index(contents, want)+1:], got) && want != "" {
		return missingFile(want)
	}
	return reject("%q does not belong in it; it holds %s, in this order", got, strings.Join(contents, ", "))
}

func missingFile(name string) error {
	if name == signatureFile {
		return reject("it is not signed (%s is missing)", name)
	}
	if name == binaryFile {
		return reject("the binary is missing (%s)", name)
	}
	return reject("%s is missing", name)
}

// input remembers why it could not be read, so that it can be told apart from why a copy of it could not be written.
type input struct {
	ctx context.Context
	r   io.Reader
	err error // not io.EOF
}

func (i *input) Read(b []byte) (n int, err error) {
	if i.ctx.Err() != nil {
		i.err = context.Cause(i.ctx)
		return 0, i.err
	}
	n, err = i.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		i.err = err
	}
	return n, err
}
