// Package program takes the binary of a daemon into a private place, where it is what was checked, and stays it.
//
//	PATH ──check──▶ copied while hashed ──▶ DIR/DIGEST/theseusd, mode 0500 ──▶ asked for its version
//
// Only what lies there is ever executed: between a check of a file that others may change and its execution there
// would be a gap.
package program

import (
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/Masterminds/semver/v3"
)

// Main is the package that a theseusd is built of.
const Main = "github.com/theseusd/theseus/daemon/cmd/theseusd"

// Program is a binary in its place.
type Program struct {
	Path    string
	Digest  string // SHA-256, in hexadecimal digits
	Version string
}

// RefusedError says why a file is not taken.
type RefusedError struct{ Path, Reason, Hint string }

func (e *RefusedError) Error() string { return e.Path + " is not taken: " + e.Reason }

const (
	name       = "theseusd"
	half       = ".half-" // prefix of what is being copied
	maxSize    = 1 << 30
	versionFor = 10 * time.Second // to answer --version, on a busy machine
)

// Take copies the binary at path below dir and returns it. What is no theseusd for this machine, or what others could
// have written, is a *RefusedError.
func Take(ctx context.Context, dir, path string) (p Program, err error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return p, &RefusedError{path, err.Error(), "name a theseusd that the daemon can read"}
	}
	path = real
	f, err := open(path)
	if err != nil {
		return p, err
	}
	defer f.Close()
	if err := check(path, f); err != nil {
		return p, err
	}
	return install(ctx, dir, path, f)
}

// Own copies the binary that this process runs, also when its file has been replaced.
func Own(dir, version string) (p Program, err error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return p, err
	}
	defer f.Close()
	copied, digest, err := copyIn(dir, f)
	if err != nil {
		return p, err
	}
	place, err := settle(dir, copied, digest)
	return Program{Path: place, Digest: digest, Version: version}, err
}

// Self is the digest of the binary that this process runs.
var Self = sync.OnceValues(func() (string, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	return hex.EncodeToString(hash.Sum(nil)), err
})

// open does not wait at a pipe, and follows no link.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, &RefusedError{path, err.Error(), "name a theseusd that the daemon can read"}
	}
	return f, nil
}

// check wants a regular file that only root and we can change.
func check(path string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &RefusedError{path, "it is no regular file", "name the binary itself"}
	}
	if info.Size() > maxSize {
		return &RefusedError{path, "it is too large for a theseusd", ""}
	}
	if info.Mode().Perm()&0o022 != 0 {
		return &RefusedError{path, "its group or everybody can write to it", "chmod go-w " + path}
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return &RefusedError{
			path, fmt.Sprintf("it belongs to user %d", st.Uid), "it must belong to root or to the daemon's user",
		}
	}
	return nil
}

func install(ctx context.Context, dir, path string, f *os.File) (p Program, err error) {
	copied, digest, err := copyIn(dir, f)
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(filepath.Dir(copied)) //nolint:errcheck // it is there only if something went wrong
	if err := isTheseusd(copied); err != nil {
		return p, &RefusedError{path, err.Error(), "build one: go build " + Main}
	}
	version, err := ask(ctx, copied)
	if err != nil {
		return p, &RefusedError{path, err.Error(), "theseusd --version has to answer"}
	}
	place, err := settle(dir, copied, digest)
	return Program{Path: place, Digest: digest, Version: version}, err
}

// copyIn copies a file into a new directory below dir.
func copyIn(dir string, f io.Reader) (path, digest string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", err
	}
	tmp, err := os.MkdirTemp(dir, half)
	if err != nil {
		return "", "", err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(tmp)
		}
	}()
	path = filepath.Join(tmp, name)
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o500)
	if err != nil {
		return "", "", err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, hash), f)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return "", "", fmt.Errorf("copy the program: %w", err)
	}
	return path, hex.EncodeToString(hash.Sum(nil)), nil
}

// settle gives the copy its place. If the place is taken, by the same bytes, that copy stays.
func settle(dir, copied, digest string) (string, error) {
	from, place := filepath.Dir(copied), filepath.Join(dir, digest)
	if err := os.Rename(from, place); err == nil {
		return filepath.Join(place, name), nil
	}
	if same(filepath.Join(place, name), digest) {
		return filepath.Join(place, name), os.RemoveAll(from)
	}
	if err := os.RemoveAll(place); err != nil { // it was cut short by a power loss
		return "", err
	}
	return filepath.Join(place, name), os.Rename(from, place)
}

func same(path, digest string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	return err == nil && hex.EncodeToString(hash.Sum(nil)) == digest
}

// isTheseusd reads what the Go linker has written into the file, without running it.
func isTheseusd(path string) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return fmt.Errorf("it is no Go program: %w", err)
	}
	if info.Path != Main {
		return fmt.Errorf("it is %s and no theseusd", info.Path)
	}
	for _, s := range info.Settings {
		if (s.Key == "GOOS" && s.Value != runtime.GOOS) || (s.Key == "GOARCH" && s.Value != runtime.GOARCH) {
			return fmt.Errorf("it is built for %s %s", s.Key, s.Value)
		}
	}
	return nil
}

// ask runs it with --version.
func ask(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionFor)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env, cmd.Dir, cmd.WaitDelay = []string{}, filepath.Dir(path), time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("it does not tell its version: %w", err)
	}
	fields := strings.Fields(string(out))
	if len(fields) == 0 {
		return "", errors.New("it does not tell its version")
	}
	version := fields[len(fields)-1]
	if _, err := semver.StrictNewVersion(version); err != nil {
		return "", fmt.Errorf("its version %q is none", version)
	}
	return version, nil
}

// Prune removes the copies below dir but for those of the digests.
func Prune(dir string, keep ...string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !slices.Contains(keep, e.Name()) {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}
