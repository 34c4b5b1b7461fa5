package trust

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/theseusd/theseus/sdk/control"
)

// Dir is what one instance trusts.
type Dir struct{ private string }

// Of is the trust of the instance in a directory; nothing is read yet.
func Of(instance string) Dir { return Dir{filepath.Join(instance, control.Private)} }

// Path is where the trusted keys are.
func (d Dir) Path() string { return filepath.Join(d.private, "trust") }

// Revoked is the file that lists what is trusted no more.
func (d Dir) Revoked() string { return filepath.Join(d.Path(), "revoked") }

// LocalKey is the file of the secret key that this machine signs with.
func (d Dir) LocalKey() string { return filepath.Join(d.private, "keys", "local.key") }

const maxFile = 64 << 10 // bytes of any file that is read here

// ring is what is trusted at one moment.
type ring struct {
	keys       []Key // the revoked ones among them are marked
	revokedIDs map[ID]bool
	revoked    map[string]bool // whole keys
}

// Keys lists the keys in the trust directory, the revoked ones included.
func (d Dir) Keys() ([]Key, error) {
	r, err := d.load()
	if err != nil {
		return nil, err
	}
	local, err := d.Local()
	for i := range r.keys {
		r.keys[i].Local = err == nil && r.keys[i].Public == local.Public().Public
	}
	return r.keys, nil
}

// Check is nil if the directory is safe and all in it can be read. A missing one is: it trusts nobody.
func (d Dir) Check() error {
	_, err := d.load()
	return err
}

// Gone lists, of some ids, those that are revoked or no longer trusted.
func (d Dir) Gone(ids []ID) (map[ID]error, error) {
	r, err := d.load()
	if err != nil {
		return nil, err
	}
	gone := map[ID]error{}
	for _, id := range ids {
		if _, err := r.find(id); err != nil {
			gone[id] = err
		}
	}
	return gone, nil
}

func (d Dir) load() (*ring, error) {
	r := &ring{revokedIDs: map[ID]bool{}, revoked: map[string]bool{}}
	entries, err := os.ReadDir(d.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("trust: %w", err)
	}
	info, err := os.Lstat(d.Path())
	if err != nil {
		return nil, fmt.Errorf("trust: %w", err)
	}
	if !info.IsDir() {
		return nil, &UnsafeError{Path: d.Path(), Reason: "is no directory", Hint: "move it away"}
	}
	if err := check(d.Path(), info, writable, d.owner()); err != nil {
		return nil, err
	}
	if err := r.readRevoked(d); err != nil {
		return nil, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || filepath.Ext(e.Name()) != ".pub" {
			continue
		}
		if err := r.readKey(d, filepath.Join(d.Path(), e.Name())); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(r.keys, func(a, b Key) int { return strings.Compare(string(a.ID)+a.File, string(b.ID)+b.File) })
	return r, nil
}

func (r *ring) readKey(d Dir, path string) error {
	text, err := d.read(path, writable)
	if err != nil {
		return err
	}
	k, err := ParseKey(text)
	if err != nil {
		return fmt.Errorf("trust: %s: %w", path, err)
	}
	k.File, k.Revoked = path, r.revokedIDs[k.ID] || r.revoked[k.Public]
	r.keys = append(r.keys, k)
	return nil
}

func (r *ring) readRevoked(d Dir) error {
	text, err := d.read(d.Revoked(), writable)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	n := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		n++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if id, err := ParseID(line); err == nil {
			r.revokedIDs[id] = true
			continue
		}
		k, err := ParseKey([]byte(line))
		if err != nil {
			return fmt.Errorf("trust: %s:%d: %q is neither the id of a key nor a key", d.Revoked(), n, line)
		}
		r.revoked[k.Public] = true
	}
	return nil
}

// read reads a small regular file, never through a link, on which nobody else has the rights in forbidden.
func (d Dir) read(path string, forbidden os.FileMode) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, &UnsafeError{Path: path, Reason: "is a symbolic link", Hint: "rm " + path}
	}
	if err != nil {
		return nil, fmt.Errorf("trust: %w", err)
	}
	defer f.Close() // only read from
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("trust: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, &UnsafeError{Path: path, Reason: "is no regular file", Hint: "rm " + path}
	}
	if err := check(path, info, forbidden, d.owner()); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("trust: %s is too large", path)
	}
	return text, err
}

// owner is the user of the instance, -1 if there is none yet.
func (d Dir) owner() int {
	info, err := os.Lstat(d.private)
	if errors.Is(err, fs.ErrNotExist) {
		info, err = os.Stat(filepath.Dir(d.private))
	}
	if err != nil {
		return -1
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}
