package trust

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"aead.dev/minisign"

	"github.com/theseusd/theseus/sdk/durable"
)

// ErrUnknownKey is wrapped by the error for an id that is not in the trust directory.
var ErrUnknownKey = errors.New("no such key is trusted here")

// Add trusts a key from now on. One that is trusted already stays as it is; one that was revoked is refused.
func (d Dir) Add(k Key) (Key, error) {
	r, err := d.load()
	if err != nil {
		return k, err
	}
	if r.revokedIDs[k.ID] || r.revoked[k.Public] {
		return k, fmt.Errorf("the key %s was revoked; to trust it all the same, strike it out in %s first", k.ID, d.Revoked())
	}
	for _, have := range r.keys {
		if have.Public == k.Public {
			return have, nil
		}
		if have.ID == k.ID {
			return k, fmt.Errorf("another key with the id %s is trusted already: %s", k.ID, have.File)
		}
	}
	k.File = filepath.Join(d.Path(), string(k.ID)+".pub")
	return k, d.write(k.File, k.Text())
}

// Remove trusts a key no longer. It may be added again.
func (d Dir) Remove(id ID) error {
	keys, err := d.Keys()
	if err != nil {
		return err
	}
	found := fmt.Errorf("%w: %s", ErrUnknownKey, id)
	for _, k := range keys {
		if k.ID == id {
			found = os.Remove(k.File)
		}
	}
	return errors.Join(found, durable.SyncDir(d.Path()))
}

// Revoke trusts a key nevermore, whether its public half is here or not.
func (d Dir) Revoke(id ID, why string) error {
	r, err := d.load()
	if err != nil {
		return err
	}
	if r.revokedIDs[id] {
		return nil
	}
	text, err := d.read(d.Revoked(), writable)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(text) == 0 {
		text = []byte("# Keys that are trusted nevermore: an id or a public key a line.\n")
	}
	if text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	return d.write(d.Revoked(), fmt.Appendf(text, "%s # %s\n", id, why))
}

// Local is the secret key that this machine signs with; fs.ErrNotExist if there is none.
func (d Dir) Local() (Secret, error) { return d.secret(d.LocalKey()) }

// Load reads a secret key from a file that nobody else can read.
func (d Dir) Load(path string) (Secret, error) { return d.secret(path) }

func (d Dir) secret(path string) (Secret, error) {
	text, err := d.read(path, anything)
	if err != nil {
		return Secret{}, err
	}
	s, err := ParseSecret(text)
	if err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Generate makes a new local key and trusts it. An earlier local key is kept beside it, under its id, and stays trusted.
// The public half is there first: a secret key that nobody trusts would only puzzle.
func (d Dir) Generate() (Key, error) {
	old, err := d.Local()
	switch {
	case err == nil:
		to := filepath.Join(filepath.Dir(d.LocalKey()), string(old.Public().ID)+".key")
		if err := os.Rename(d.LocalKey(), to); err != nil {
			return Key{}, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return Key{}, err
	}
	_, secret, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, err
	}
	text, err := secret.MarshalText()
	if err != nil {
		return Key{}, err
	}
	k := Secret{secret}.Public()
	k.Comment = "theseus key " + string(k.ID) + " of " + time.Now().UTC().Format(time.DateOnly)
	if host, err := os.Hostname(); err == nil {
		k.Comment += ", " + host
	}
	k.Local = true
	if k, err = d.Add(k); err != nil {
		return k, err
	}
	return k, d.write(d.LocalKey(), append(text, '\n'))
}

// write puts a file in place in one step, with mode 0600 in directories with mode 0700, for the user of the instance also
// if root does it.
func (d Dir) write(path string, text []byte) error {
	dir := filepath.Dir(path)
	for _, each := range []string{d.private, dir} {
		if err := d.mkdir(each); err != nil {
			return err
		}
	}
	return durable.Replace(path, text, func(f *os.File) error { return own(f, d.owner()) })
}

// mkdir makes a directory with mode 0700; one that is there stays as it is.
func (d Dir) mkdir(dir string) error {
	uid := d.owner()
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	return errors.Join(own(f, uid), f.Close(), durable.SyncDir(filepath.Dir(dir)))
}

// own gives what root has made to a user. It works on the open file, so no link is followed.
func own(f *os.File, uid int) error {
	if os.Geteuid() != 0 || uid <= 0 {
		return nil
	}
	return f.Chown(uid, -1)
}
