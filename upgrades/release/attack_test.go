package release

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/theseusd/theseus/upgrades/trust"
)

// keyed is a store with a trust directory of its own, and the key that it trusts.
func keyed(t *testing.T) (*Store, trust.Secret) {
	t.Helper()
	d := trust.Of(t.TempDir())
	if _, err := d.Generate(); err != nil {
		t.Fatal(err)
	}
	own, err := d.Local()
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenStore(filepath.Join(t.TempDir(), "store"), d)
	if err != nil {
		t.Fatal(err)
	}
	return s, own
}

// resigned is the package with the signature of another key.
func (p parts) resigned(by trust.Secret) parts {
	var m meta
	if err := json.Unmarshal(p[0].text, &m); err != nil {
		panic(err)
	}
	return p.set(signatureFile, by.Sign(p[0].text, m.comment()))
}

func whole(name, version string) parts { return goodParts(name, version).meta(name, version, nil) }

func TestAttackTampering(t *testing.T) {
	const file = "visits-1.0.0.tpk"
	older := whole("visits", "0.9.0")
	tampered := func(name, from, to string) []byte {
		p := whole("visits", "1.0.0")
		for i := range p {
			if p[i].name == name {
				p[i].text = bytes.Replace(p[i].text, []byte(from), []byte(to), 1)
			}
		}
		return p.bytes()
	}
	_, stranger := keyed(t)
	for _, c := range []struct {
		name   string
		text   []byte
		reason string
	}{
		{"tampered package.json", tampered(metaFile, "1.0.0", "1.0.9"), "is not of this content"},
		{"tampered trusted comment", tampered(signatureFile, "visits 1.0.0", "visits 1.0.9"), "is not of this content"},
		{"tampered manifest", tampered(manifestFile, `"*"`, `"^"`), "appup.toml is not the file that was signed"},
		{"tampered binary", tampered(binaryFile, "ELF", "FLE"), "service is not the file that was signed"},
		{"tampered size", tampered(describeFile, "{", "{ "), "describe.json has"},
		{"signature of another file", whole("visits", "1.0.0").set(signatureFile, older[1].text).bytes(), "is not of this content"},
		{"good signature for something else", whole("visits", "1.0.0").set(signatureFile, secret.Sign(whole("visits", "1.0.0")[0].text, "timestamp:1")).bytes(), `is of "timestamp:1"`},
		{"no signature", without(whole("visits", "1.0.0"), 1).bytes(), "it is not signed"},
		{"empty signature", whole("visits", "1.0.0").set(signatureFile, nil).bytes(), "not in minisign's format"},
		{"unknown key", whole("visits", "1.0.0").resigned(stranger).bytes(), "is not trusted here"},
		{"older package under a newer name", older.bytes(), "the file is named visits 1.0.0, and in it is visits 0.9.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := store(t)
			_, err := drop(t, s, file, c.text)
			refused(t, s, err, file, c.reason)
		})
	}
}

func TestAttackRevokedKey(t *testing.T) {
	s, own := keyed(t)
	const file = "visits-1.0.0.tpk"
	p, err := drop(t, s, file, whole("visits", "1.0.0").resigned(own).bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.keys.Revoke(own.Public().ID, "lost"); err != nil {
		t.Fatal(err)
	}
	var who *trust.UntrustedError
	if err := s.Vouch(p); !errors.As(err, &who) || !who.Revoked {
		t.Errorf("it is vouched for: %v", err)
	}
	if _, err := s.Get(p.Digest); err != nil {
		t.Errorf("what serves would not start again: %v", err)
	}
	_, err = drop(t, s, "visits-1.0.1.tpk", whole("visits", "1.0.1").resigned(own).bytes())
	var no *RejectError
	if !errors.As(err, &no) || !strings.Contains(no.Reason, "was revoked") {
		t.Errorf("taken: %v", err)
	}
	if _, err := drop(t, s, file, whole("visits", "1.0.0").resigned(own).bytes()); !errors.As(err, &no) {
		t.Errorf("taken again: %v", err)
	}
}

func TestASecondSignatureHealsARevokedOne(t *testing.T) {
	s, own := keyed(t)
	first, err := drop(t, s, "any", whole("visits", "1.0.0").resigned(own).bytes())
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.keys.Generate()
	if err != nil {
		t.Fatal(err)
	}
	next, err := s.keys.Local()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.keys.Revoke(own.Public().ID, "lost"); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(first.Binary())
	again, err := drop(t, s, "any", whole("visits", "1.0.0").resigned(next).bytes())
	if err != nil || again.Digest != first.Digest || again.Key != k.ID {
		t.Fatalf("%+v, %v", again, err)
	}
	if err := s.Vouch(again); err != nil {
		t.Error(err)
	}
	if after, _ := os.Stat(again.Binary()); !os.SameFile(before, after) {
		t.Error("the binary was exchanged")
	}
}

// package.json and its signature belong together, wherever the process ends that exchanges them.
func TestSecondSignatureThatWasCutShort(t *testing.T) {
	for cut := range 3 {
		s, own := keyed(t)
		first, err := drop(t, s, "any", whole("visits", "1.0.0").resigned(own).bytes())
		if err != nil {
			t.Fatal(err)
		}
		other, _ := keyed(t)
		if _, err := s.keys.Generate(); err != nil {
			t.Fatal(err)
		}
		next, err := s.keys.Local()
		if err != nil {
			t.Fatal(err)
		}
		other.keys = s.keys
		late, err := drop(t, other, "any", whole("visits", "1.0.0").resigned(next).bytes())
		if err != nil {
			t.Fatal(err)
		}
		c := candidate{store: s, dir: late.Dir}
		if err := c.prepare(first.Dir); err != nil {
			t.Fatal(err)
		}
		for _, name := range contents[:cut] { // so far it came
			if err := os.Rename(filepath.Join(first.Dir, nextDir, name), filepath.Join(first.Dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		s, err = OpenStore(s.dir, s.keys)
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.Get(first.Digest)
		if err != nil || s.Vouch(p) != nil || p.Key != next.Public().ID {
			t.Errorf("after %d files: %v, %v, signed by %s", cut, err, s.Vouch(p), p.Key)
		}
		if _, err := os.Lstat(filepath.Join(first.Dir, nextDir)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after %d files: something is left: %v", cut, err)
		}
	}
}

func TestAttackWithoutAnyKeyNothingIsTakenAndNothingRefused(t *testing.T) {
	s, err := OpenStore(filepath.Join(t.TempDir(), "store"), trust.Of(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	var no *RejectError
	if _, err := drop(t, s, "visits-1.0.0.tpk", good("visits", "1.0.0")); !errors.Is(err, trust.ErrNoKey) || errors.As(err, &no) {
		t.Errorf("%v: it is tried again when there is a key", err)
	}
}

func TestAttackSwapBetweenVerifyAndExec(t *testing.T) {
	s := store(t)
	path := filepath.Join(t.TempDir(), "visits-1.0.0.tpk")
	write(t, path, good("visits", "1.0.0"))
	p, err := s.Add(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path+".evil", []byte("#!/bin/sh\necho EVIL\n"))
	if err := os.Rename(path+".evil", path); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(p.Binary(), "--describe").Output()
	if err != nil || !bytes.Equal(out, description("visits", "1.0.0")) {
		t.Errorf("%s, %v", out, err)
	}
}

func TestAttackOverwriteInTheStore(t *testing.T) {
	for name, overwrite := range map[string]func(t *testing.T, s *Store, p Package){
		"the binary, in place": func(t *testing.T, _ *Store, p Package) {
			evil := service("say EVIL")
			info, _ := os.Stat(p.Binary())
			if err := os.Chmod(p.Binary(), 0o700); err != nil {
				t.Fatal(err)
			}
			inPlace(t, p.Binary(), append(evil, make([]byte, int(info.Size())-len(evil))...))
		},
		"every file, by a package that is signed as well": func(t *testing.T, s *Store, p Package) {
			other, err := drop(t, s, "any", good("visits", "0.9.0"))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range contents {
				text, err := os.ReadFile(filepath.Join(other.Dir, file))
				if err != nil {
					t.Fatal(err)
				}
				inPlace(t, filepath.Join(p.Dir, file), text)
			}
		},
		"a link for the binary": func(t *testing.T, _ *Store, p Package) {
			if err := errors.Join(os.Remove(p.Binary()), os.Symlink("/bin/true", p.Binary())); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := store(t)
			p, err := drop(t, s, "any", good("visits", "1.0.0"))
			if err != nil {
				t.Fatal(err)
			}
			overwrite(t, s, p)
			var d *DamagedError
			if _, err := s.Get(p.Digest); !errors.As(err, &d) {
				t.Errorf("it would be started: %v", err)
			}
		})
	}
}

// inPlace writes to the inode that is there.
func inPlace(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0); err != nil {
		t.Fatal(err)
	}
}

func TestAttackNamesThatLeadElsewhere(t *testing.T) {
	s, dir := store(t), t.TempDir()
	real := filepath.Join(dir, "real")
	write(t, real, good("visits", "1.0.0"))
	link := filepath.Join(dir, "visits-1.0.0.tpk")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	_, err := s.Add(context.Background(), link)
	refused(t, s, err, "visits-1.0.0.tpk", "it is a symbolic link")
}

func TestAttackFifoInReleasesDoesNotBlock(t *testing.T) {
	s, dir := store(t), t.TempDir()
	path := filepath.Join(dir, "visits-1.0.0.tpk")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := s.Add(context.Background(), path)
		answered <- err
	}()
	select {
	case err := <-answered:
		refused(t, s, err, "visits-1.0.0.tpk", "it is no regular file")
	case <-time.After(20 * time.Second):
		t.Fatal("it blocks")
	}
}

func TestAttackTar(t *testing.T) {
	const file = "visits-1.0.0.tpk"
	odd := func(i int, change func(*entry)) []byte {
		p := whole("visits", "1.0.0")
		change(&p[i])
		return p.bytes()
	}
	for _, c := range []struct {
		name   string
		text   []byte
		reason string
	}{
		{"..", parts{{name: "../package.json"}}.bytes(), `"../package.json" does not belong in it`},
		{"an absolute name", parts{{name: "/package.json"}}.bytes(), `"/package.json" does not belong in it`},
		{"a folder", parts{{name: "./package.json"}}.bytes(), `"./package.json" does not belong in it`},
		{"a symbolic link", odd(4, func(e *entry) { e.kind, e.link = tar.TypeSymlink, "/bin/sh" }), "no regular file"},
		{"a hard link", odd(4, func(e *entry) { e.kind, e.link = tar.TypeLink, "appup.toml" }), "no regular file"},
		{"a device", odd(4, func(e *entry) { e.kind = tar.TypeChar }), "no regular file"},
		{"a fifo", odd(4, func(e *entry) { e.kind = tar.TypeFifo }), "no regular file"},
		{"a directory", odd(4, func(e *entry) { e.kind = tar.TypeDir }), "no regular file"},
		{"setuid", odd(4, func(e *entry) { e.mode = 0o4000 }), "setuid"},
		{"setgid", odd(4, func(e *entry) { e.mode = 0o2000 }), "setuid, setgid or sticky"},
		{"a name twice", append(whole("visits", "1.0.0"), whole("visits", "1.0.0")[4]).bytes(), `"service" does not belong in it`},
		{"names that differ in case", append(whole("visits", "1.0.0"), entry{name: "Service"}).bytes(), `"Service" does not belong in it`},
		{"another order", func() []byte { p := whole("visits", "1.0.0"); p[0], p[1] = p[1], p[0]; return p.bytes() }(), "package.json is missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := store(t)
			_, err := drop(t, s, file, c.text)
			refused(t, s, err, file, c.reason)
		})
	}
}

func TestAttackBombs(t *testing.T) {
	const file = "visits-1.0.0.tpk"
	many := whole("visits", "1.0.0")
	for range 10_001 {
		many = append(many, entry{name: "x"})
	}
	fat := goodParts("visits", "1.0.0").set(binaryFile, make([]byte, 64<<20)).meta("visits", "1.0.0", nil)
	for _, c := range []struct {
		name   string
		text   []byte
		reason string
	}{
		{"entries", many.bytes(), `"x" does not belong in it`},
		{"a ratio above 100", squeezed(fat), "service has 67108864 bytes; at most"},
		{"a header that lies about the size", lying(t), "package.json has 1152921504606846976 bytes; at most 1048576 are allowed"},
		{"unsigned bulk", squeezed(parts{{name: metaFile, text: []byte("{}")}, {name: binaryFile, text: make([]byte, 64<<20)}}), "it is not signed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := store(t)
			_, err := drop(t, s, file, c.text)
			refused(t, s, err, file, c.reason)
		})
	}
}

// lying is a package whose first header names more bytes than there are.
func lying(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	h := header(metaFile, 1<<60, 0o400)
	h.Format = tar.FormatGNU // has room for the number
	if err := tw.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	return compressed(b.Bytes())
}

func TestAttackSameVersionOtherContent(t *testing.T) {
	s := store(t)
	if _, err := drop(t, s, "visits-1.0.0.tpk", good("visits", "1.0.0")); err != nil {
		t.Fatal(err)
	}
	other := goodParts("visits", "1.0.0")
	other = other.set(manifestFile, append(other[2].text, "# changed\n"...)).meta("visits", "1.0.0", nil)
	_, err := drop(t, s, "visits-1.0.0.tpk", other.bytes())
	var no *RejectError
	if !errors.As(err, &no) || !strings.Contains(no.Reason, "is here already with other content, and a version never changes") {
		t.Fatalf("taken: %v", err)
	}
	lists(t, s, "visits 1.0.0")
}

func TestAttackSocketForAPackage(t *testing.T) {
	s, path := store(t), filepath.Join(t.TempDir(), "s.tpk")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = s.Add(context.Background(), path)
	refused(t, s, err, "s.tpk", "it is no regular file")
}

// What is in the store and nobody's version for good, as after a build that was refused, keeps its mended self from nothing.
func TestWhoeverIsAskedSaysWhichVersionsAreTaken(t *testing.T) {
	s := store(t)
	if _, err := drop(t, s, "visits-1.0.0.tpk", good("visits", "1.0.0")); err != nil {
		t.Fatal(err)
	}
	other := goodParts("visits", "1.0.0")
	other = other.set(manifestFile, append(other[2].text, "# mended\n"...)).meta("visits", "1.0.0", nil)
	var no *RejectError
	s.Ask(func(Package) *RejectError { return no })
	if _, err := drop(t, s, "visits-1.0.0.tpk", other.bytes()); err != nil {
		t.Fatal(err)
	}
	no = &RejectError{Reason: "taken"}
	another := goodParts("visits", "1.0.0")
	another = another.set(manifestFile, append(another[2].text, "# again\n"...)).meta("visits", "1.0.0", nil)
	var got *RejectError
	if _, err := drop(t, s, "visits-1.0.0.tpk", another.bytes()); !errors.As(err, &got) || got.Reason != "taken" {
		t.Errorf("%v", err)
	}
}
