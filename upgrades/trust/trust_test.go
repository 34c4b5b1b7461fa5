package trust

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/theseusd/theseus/sdk/control"
)

const text, comment = "{\"name\":\"visits\"}\n", "theseus package visits 1.0.0 seq 1"

// instance is a directory with a key of its own.
func instance(t *testing.T) (Dir, Secret) {
	t.Helper()
	d := Of(t.TempDir())
	if _, err := d.Generate(); err != nil {
		t.Fatal(err)
	}
	s, err := d.Local()
	if err != nil {
		t.Fatal(err)
	}
	return d, s
}

func TestWhatTheLocalKeySignsIsBelieved(t *testing.T) {
	d, s := instance(t)
	signature := s.Sign([]byte(text), comment)
	if id, err := d.Verify([]byte(text), signature, comment); err != nil || id != s.Public().ID {
		t.Fatal(id, err)
	}
	if got := SignerOf(signature); got != s.Public().ID {
		t.Error(got)
	}
	if string(s.Sign([]byte(text), comment)) != string(signature) {
		t.Error("the same input makes two signatures")
	}
	for path, mode := range map[string]fs.FileMode{
		d.private: 0o700, d.Path(): 0o700, filepath.Dir(d.LocalKey()): 0o700, d.LocalKey(): 0o600,
		filepath.Join(d.Path(), string(s.Public().ID)+".pub"): 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	d, s := instance(t)
	_, other := instance(t)
	good := string(s.Sign([]byte(text), comment))
	lines := strings.Split(good, "\n")
	legacy := []byte(lines[1])
	legacy[1] = 'W' // "Ed" for "ED", in base64
	for _, c := range []struct{ name, text, signature, comment, reason string }{
		{"a tampered file", text + " ", good, comment, "not of this content"},
		{"the signature of another file", text, string(s.Sign([]byte("other"), comment)), comment, "not of this content"},
		{"a tampered trusted comment", text, strings.Replace(good, "1.0.0", "9.9.9", 1), "theseus package visits 9.9.9 seq 1", "not of this content"},
		{"a good signature for another version", text, good, "theseus package visits 9.9.9 seq 1", `is of "theseus package visits 1.0.0 seq 1"`},
		{"a good signature for something else", text, string(s.Sign([]byte(text), "timestamp:1")), comment, `is of "timestamp:1"`},
		{"the comment's signature of another file", text, strings.Join(append(lines[:3:3], strings.Split(string(s.Sign([]byte("x"), comment)), "\n")[3:]...), "\n"), comment, "not of this content"},
		{"the legacy format", text, strings.Replace(good, lines[1], string(legacy), 1), comment, "legacy format"},
		{"no signature", text, "", comment, "not in minisign's format"},
		{"half a signature", text, good[:len(good)/2], comment, "not in minisign's format"},
		{"an unknown key", text, string(other.Sign([]byte(text), comment)), comment, "is not trusted here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := d.Verify([]byte(c.text), []byte(c.signature), c.comment)
			var bad *SignatureError
			var who *UntrustedError
			if !errors.As(err, &bad) && !errors.As(err, &who) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("%v, want %s", err, c.reason)
			}
		})
	}
}

// The key id in a signature is not signed: naming a trusted key does not help another one.
func TestAnotherKeyUnderATrustedID(t *testing.T) {
	d, s := instance(t)
	_, other := instance(t)
	mine, theirs := s.Sign([]byte(text), comment), other.Sign([]byte(text), comment)
	forged := strings.Split(string(theirs), "\n")
	line := []byte(forged[1])
	copy(line[2:12], strings.Split(string(mine), "\n")[1][2:12]) // most of the id
	if _, err := d.Verify([]byte(text), []byte(strings.Replace(string(theirs), forged[1], string(line), 1)), comment); err == nil {
		t.Error("believed")
	}
}

func TestKeysComeAndGoAtOnce(t *testing.T) {
	d, s := instance(t)
	_, other := instance(t)
	signature := other.Sign([]byte(text), comment)
	verify := func() error { _, err := d.Verify([]byte(text), signature, comment); return err }
	var who *UntrustedError
	if err := verify(); !errors.As(err, &who) || who.Revoked {
		t.Fatal("before:", err)
	}
	added, err := d.Add(other.Public())
	if err != nil || verify() != nil {
		t.Fatal("added:", err, verify())
	}
	if again, err := d.Add(other.Public()); err != nil || again.File != added.File {
		t.Fatal("added twice:", again, err)
	}
	if keys, err := d.Keys(); err != nil || len(keys) != 2 {
		t.Fatal(keys, err)
	}
	if err := d.Remove(added.ID); err != nil || verify() == nil {
		t.Fatal("removed:", err)
	}
	if err := d.Remove(added.ID); !errors.Is(err, ErrUnknownKey) {
		t.Fatal("removed twice:", err)
	}
	if _, err := d.Add(other.Public()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Revoke(added.ID, "lost"); err != nil {
			t.Fatal(err)
		}
	}
	if err := verify(); !errors.As(err, &who) || !who.Revoked {
		t.Fatal("revoked:", err)
	}
	if err := d.Remove(added.ID); err != nil {
		t.Fatal(err)
	}
	if err := verify(); !errors.As(err, &who) || !who.Revoked {
		t.Fatal("revoked and removed:", err)
	}
	if _, err := d.Add(other.Public()); err == nil || !strings.Contains(err.Error(), "was revoked") {
		t.Fatal("added after it was revoked:", err)
	}
	if _, err := d.Verify([]byte(text), s.Sign([]byte(text), comment), comment); err != nil {
		t.Fatal("the other key suffers:", err)
	}
}

func TestRevokedMayListWholeKeysAndComments(t *testing.T) {
	d, s := instance(t)
	if err := os.WriteFile(d.Revoked(), []byte("# lost\n\n"+s.Public().Public+" # in a train\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var who *UntrustedError
	if _, err := d.Verify([]byte(text), s.Sign([]byte(text), comment), comment); !errors.As(err, &who) || !who.Revoked {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.Revoked(), []byte("# fine\nwhatever\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Verify([]byte(text), s.Sign([]byte(text), comment), comment); err == nil || !strings.Contains(err.Error(), "revoked:2") {
		t.Fatal("a line that is nothing:", err)
	}
}

func TestInDoubtNobodyIsBelieved(t *testing.T) {
	signature := func(s Secret) []byte { return s.Sign([]byte(text), comment) }
	for name, spoil := range map[string]func(d Dir, pub string) error{
		"no directory":            func(d Dir, _ string) error { return os.RemoveAll(d.Path()) },
		"no key":                  func(_ Dir, pub string) error { return os.Remove(pub) },
		"a directory for a group": func(d Dir, _ string) error { return os.Chmod(d.Path(), 0o770) },
		"a key for the world":     func(_ Dir, pub string) error { return os.Chmod(pub, 0o666) },
		"a key that is none":      func(_ Dir, pub string) error { return os.WriteFile(pub, []byte("x"), 0o600) },
		"a fifo for a key":        func(d Dir, _ string) error { return syscall.Mkfifo(filepath.Join(d.Path(), "x.pub"), 0o600) },
		"a link for a key":        func(d Dir, pub string) error { return os.Symlink(pub, filepath.Join(d.Path(), "x.pub")) },
		"revoked is a directory":  func(d Dir, _ string) error { return os.Mkdir(d.Revoked(), 0o700) },
		"revoked for the world": func(d Dir, _ string) error {
			return errors.Join(os.WriteFile(d.Revoked(), nil, 0o600), os.Chmod(d.Revoked(), 0o666))
		},
		"a key of a gigantic size": func(_ Dir, pub string) error { return os.Truncate(pub, 1<<40) },
	} {
		t.Run(name, func(t *testing.T) {
			d, s := instance(t)
			if err := spoil(d, filepath.Join(d.Path(), string(s.Public().ID)+".pub")); err != nil {
				t.Fatal(err)
			}
			_, err := d.Verify([]byte(text), signature(s), comment)
			var bad *SignatureError
			var who *UntrustedError
			if err == nil || errors.As(err, &bad) || errors.As(err, &who) {
				t.Errorf("%v: want an error that does not blame the signature", err)
			}
		})
	}
}

func TestASecretThatOthersCanReadIsNotUsed(t *testing.T) {
	d, _ := instance(t)
	if err := os.Chmod(d.LocalKey(), 0o640); err != nil {
		t.Fatal(err)
	}
	var unsafe *UnsafeError
	if _, err := d.Local(); !errors.As(err, &unsafe) || unsafe.Hint != "chmod 600 "+d.LocalKey() {
		t.Fatal(err)
	}
}

func TestANewKeyKeepsTheOldOne(t *testing.T) {
	d, old := instance(t)
	if _, err := d.Generate(); err != nil {
		t.Fatal(err)
	}
	now, err := d.Local()
	if err != nil || now.Public().ID == old.Public().ID {
		t.Fatal(now.Public(), err)
	}
	for _, s := range []Secret{old, now} {
		if _, err := d.Verify([]byte(text), s.Sign([]byte(text), comment), comment); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Load(filepath.Join(filepath.Dir(d.LocalKey()), string(old.Public().ID)+".key")); err != nil {
		t.Error(err)
	}
}

// What root makes for the instance of another account belongs to that account.
func TestWhatRootMakesIsTheInstances(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 12345, -1); err != nil {
		t.Fatal(err)
	}
	d := Of(dir)
	if _, err := d.Generate(); err != nil {
		t.Fatal(err)
	}
	keys, err := d.Keys()
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	for _, path := range []string{filepath.Join(dir, control.Private), d.Path(), keys[0].File, d.LocalKey()} {
		info, err := os.Lstat(path)
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != 12345 {
			t.Errorf("%s: %v", path, err)
		}
	}
}
