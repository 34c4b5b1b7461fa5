package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestWhatIsPackedIsKept(t *testing.T) {
	s := store(t)
	text := pack(t, "visits", "2.0.1-bad")
	p, err := drop(t, s, "visits-2.0.1-bad.tpk", text)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "visits" || p.Version != "2.0.1-bad" || !digestForm.MatchString(p.Digest) || p.Key != secret.Public().ID || p.Seq != signedAt.UnixMilli() || p.Dir != filepath.Join(s.dir, p.Digest) {
		t.Fatalf("%+v", p)
	}
	if p.Manifest.Up[0].From != "*" || p.Describe.Tables[0].Shape != "{user:string}" {
		t.Fatalf("%+v", p)
	}
	again, err := s.Get(p.Digest)
	if err != nil || !reflect.DeepEqual(p.Describe, again.Describe) || again.Manifest.Name != "visits" {
		t.Fatalf("%+v, %v", again, err)
	}
	out, err := exec.Command(again.Binary(), "--describe").Output()
	if err != nil || !bytes.Equal(out, description("visits", "2.0.1-bad")) {
		t.Fatalf("%s, %v", out, err)
	}
}

func TestTheStoreIsPrivate(t *testing.T) {
	s := store(t)
	p, err := drop(t, s, "visits-1.0.0.tpk", pack(t, "visits", "1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{
		s.dir: 0o700, p.Dir: 0o700, p.Binary(): 0o500,
		filepath.Join(p.Dir, metaFile): 0o400, filepath.Join(p.Dir, manifestFile): 0o400, filepath.Join(p.Dir, describeFile): 0o400,
	} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != mode {
			t.Fatalf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if entries, _ := os.ReadDir(s.dir); len(entries) != 1 {
		t.Fatalf("%v", entries)
	}
}

func TestTheSameInputMakesTheSamePackage(t *testing.T) {
	a := pack(t, "visits", "1.0.0")
	b := pack(t, "visits", "1.0.0") // another folder, another time of the file
	if !bytes.Equal(a, b) {
		t.Fatal("they differ")
	}
}

func TestPackRefusesWhatDoesNotAgree(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "x")
	write(t, binary, service("say x"))
	script := filepath.Join(t.TempDir(), "y")
	write(t, script, []byte("#!/bin/sh\nexit 0 and more\n"))
	arm := bytes.ReplaceAll(description("x", "1.0.0"), []byte(here.arch), []byte("vax"))
	for _, c := range []struct {
		name               string
		manifest, describe []byte
		binary, want       string
	}{
		{"a bad manifest", []byte("x"), nil, binary, "appup.toml:1:"},
		{"a bad description", manifest("x", "1.0.0"), []byte("x"), binary, "describe.json is no description"},
		{"another version", manifest("x", "1.0.0"), description("x", "1.0.1"), binary, "the manifest is of version 1.0.0, the binary of 1.0.1"},
		{"no program", manifest("x", "1.0.0"), description("x", "1.0.0"), script, "it is no ELF executable"},
		{"another machine", manifest("x", "1.0.0"), arm, binary, "describes itself as for linux/vax"},
		{"no binary", manifest("x", "1.0.0"), description("x", "1.0.0"), "/no/such", "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			err := Pack(&b, c.manifest, c.binary, c.describe, Signer{Key: secret})
			if err == nil || !strings.Contains(err.Error(), c.want) || b.Len() > 0 {
				t.Fatalf("err = %v, %d bytes", err, b.Len())
			}
		})
	}
}

func TestAddIsIdempotent(t *testing.T) {
	s := store(t)
	text := pack(t, "visits", "1.0.0")
	first, err := drop(t, s, "visits-1.0.0.tpk", text)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(first.Binary())
	second, err := drop(t, s, "any-name-will-do", text)
	if err != nil || second.Digest != first.Digest {
		t.Fatalf("%v, %v", second, err)
	}
	if after, _ := os.Stat(second.Binary()); !os.SameFile(before, after) {
		t.Fatal("it was replaced")
	}
	_, err = drop(t, s, "cache-1.0.0.tpk", text)
	var r *RejectError
	if !errors.As(err, &r) {
		t.Fatalf("under a wrong name: %v", err)
	}
}

func TestManyAddTheSameAtOnceWhileOthersFork(t *testing.T) {
	s := store(t)
	path := filepath.Join(t.TempDir(), "visits-1.0.0.tpk")
	write(t, path, good("visits", "1.0.0"))
	stop := make(chan struct{})
	var forks, adds sync.WaitGroup
	for range 2 {
		forks.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = exec.Command("/bin/true").Run()
				}
			}
		})
	}
	for i := range 6 {
		file := fmt.Sprintf("own-1.0.%d.tpk", i)
		own := good("own", fmt.Sprintf("1.0.%d", i))
		ownDigest := digestOf(t, own)
		adds.Go(func() {
			for range 3 {
				if _, err := s.Add(context.Background(), path); err != nil {
					t.Error(err)
				}
				if _, err := drop(t, s, file, own); err != nil {
					t.Error(err)
				}
				if err := s.Remove(ownDigest); err != nil {
					t.Error(err)
				}
			}
		})
	}
	adds.Wait()
	close(stop)
	forks.Wait()
}

func TestDamageInTheStoreIsFoundAndHealed(t *testing.T) {
	s := store(t)
	text := pack(t, "visits", "1.0.0")
	p, err := drop(t, s, "visits-1.0.0.tpk", text)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range slices.DeleteFunc(slices.Clone(contents), func(f string) bool { return f == signatureFile }) {
		t.Run(file, func(t *testing.T) {
			path := filepath.Join(p.Dir, file)
			if err := os.Chmod(path, 0o700); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte("!"), 1); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
			var d *DamagedError
			if _, err := s.Get(p.Digest); !errors.As(err, &d) || d.File != path {
				t.Fatalf("get: %v", err)
			}
			if _, err := drop(t, s, "visits-1.0.0.tpk", text); err != nil {
				t.Fatalf("add again: %v", err)
			}
			if _, err := s.Get(p.Digest); err != nil {
				t.Fatalf("get after it: %v", err)
			}
		})
	}
	if err := os.Remove(p.Binary()); err != nil {
		t.Fatal(err)
	}
	var d *DamagedError
	if _, err := s.Get(p.Digest); !errors.As(err, &d) {
		t.Fatalf("no binary: %v", err)
	}
}

func TestGetKnowsWhatIsNotThere(t *testing.T) {
	s := store(t)
	for _, digest := range []string{"", "..", strings.Repeat("a", 64), strings.Repeat("A", 64), "../" + strings.Repeat("a", 61)} {
		if _, err := s.Get(digest); !errors.Is(err, ErrNotFound) {
			t.Fatalf("%q: %v", digest, err)
		}
	}
}

func TestListIsInOrderAndRemoveRemoves(t *testing.T) {
	s := store(t)
	var digests []string
	for _, nv := range [][2]string{{"visits", "1.10.0"}, {"visits", "1.9.0"}, {"cache", "1.0.0"}, {"visits", "1.10.0-rc1"}} {
		p, err := drop(t, s, FileName(nv[0], nv[1]), good(nv[0], nv[1]))
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, p.Digest)
	}
	lists(t, s, "cache 1.0.0", "visits 1.9.0", "visits 1.10.0-rc1", "visits 1.10.0")
	for range 2 {
		if err := s.Remove(digests[1]); err != nil {
			t.Fatal(err)
		}
	}
	lists(t, s, "cache 1.0.0", "visits 1.10.0-rc1", "visits 1.10.0")
	if err := s.Remove("../store"); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.dir, digests[0], manifestFile)); err != nil {
		t.Fatal(err)
	}
	all, err := s.List()
	var d *DamagedError
	if len(all) != 2 || !errors.As(err, &d) || d.Digest != digests[0] {
		t.Fatalf("%v, %v", all, err)
	}
}

func lists(t *testing.T, s *Store, want ...string) {
	t.Helper()
	all, err := s.List()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range all {
		got = append(got, p.Name+" "+p.Version)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

func TestOpenStoreSweepsWhatACrashLeft(t *testing.T) {
	s := store(t)
	p, err := drop(t, s, "visits-1.0.0.tpk", good("visits", "1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	left, worked := filepath.Join(s.dir, ".tmp-1"), filepath.Join(s.dir, ".tmp-2")
	if err := errors.Join(os.Mkdir(left, 0o700), os.Mkdir(worked, 0o700)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(left, "service"), []byte("half"))
	lock, err := lockDir(worked)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	again, err := OpenStore(s.dir, keys)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("not swept: %v", err)
	}
	if _, err := os.Stat(worked); err != nil {
		t.Fatalf("swept although somebody works in it: %v", err)
	}
	if _, err := again.Get(p.Digest); err != nil {
		t.Fatal(err)
	}
}

func TestFileNames(t *testing.T) {
	for file, want := range map[string]string{
		"visits-1.0.0.tpk":                 "visits 1.0.0",
		"/drop/rate-limit-2.0.1-bad.1.tpk": "rate-limit 2.0.1-bad.1",
		"visits-1.0.0":                     "",
		"visits-1.0.tpk":                   "",
		"visits.tpk":                       "",
		"Visits-1.0.0.tpk":                 "",
		"-1.0.0.tpk":                       "",
		"visits-1.0.0.tpk.part":            "",
	} {
		name, version, ok := ParseFileName(file)
		if got := strings.TrimSpace(name + " " + version); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", file, got, ok)
		}
		if ok && FileName(name, version) != filepath.Base(file) {
			t.Errorf("%s: back to %s", file, FileName(name, version))
		}
	}
}

func TestMachines(t *testing.T) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	if m, err := machineOf(self); err != nil || m != here {
		t.Fatalf("%v, %v", m, err)
	}
	big := append([]byte("\x7fELF\x02\x02\x01"), make([]byte, 13)...)
	big[17], big[19] = 2, 22
	if m, err := machineOf(bytes.NewReader(big)); err != nil || m.String() != "linux/s390x" {
		t.Fatalf("%v, %v", m, err)
	}
	big[19] = 2
	if m, err := machineOf(bytes.NewReader(big)); err != nil || m.String() != "linux/EM_SPARC" {
		t.Fatalf("%v, %v", m, err)
	}
}

func TestStatusKnowsEveryTransition(t *testing.T) {
	for _, c := range []struct {
		name    string
		from    Status
		do      Action
		want    Status
		wantErr bool
	}{
		{name: "a new release is installed", from: Unpacked, do: Install, want: Current},
		{name: "one in probation becomes permanent", from: Current, do: MakePermanent, want: Permanent},
		{name: "one in probation rolls back", from: Current, do: RollBack, want: Unpacked},
		{name: "the one before becomes old", from: Permanent, do: Supersede, want: Old},
		{name: "an old one is installed again", from: Old, do: Install, want: Current},
		{name: "permanent never rolls back by itself", from: Permanent, do: RollBack, want: Permanent, wantErr: true},
		{name: "permanent is not installed twice", from: Permanent, do: Install, want: Permanent, wantErr: true},
		{name: "what never served is not made permanent", from: Unpacked, do: MakePermanent, want: Unpacked, wantErr: true},
		{name: "old is not superseded", from: Old, do: Supersede, want: Old, wantErr: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.from.Next(c.do)
			if got != c.want || (err != nil) != c.wantErr {
				t.Fatalf("%v, %v", got, err)
			}
		})
	}
}

func TestStatusesAreOTPsWords(t *testing.T) {
	var words []string
	for s := Unpacked; s <= Old; s++ {
		text, _ := s.MarshalText()
		var back Status
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Fatalf("%s: %v, %v", text, back, err)
		}
		words = append(words, string(text))
	}
	if got := fmt.Sprint(words, Install, MakePermanent, RollBack, Supersede); got != "[unpacked current permanent old] install make_permanent roll_back supersede" {
		t.Fatal(got)
	}
	if _, err := Permanent.Next(RollBack); err.Error() != "cannot roll_back a release that is permanent" {
		t.Fatal(err)
	}
}

// Who added a package may take it away again, nobody else.
func TestOnlyTheFirstAddBringsAPackage(t *testing.T) {
	s, own := keyed(t)
	for i := range 3 {
		p, err := drop(t, s, "any", whole("visits", "1.0.0").resigned(own).bytes())
		if err != nil || p.Fresh != (i == 0) {
			t.Errorf("%d: fresh %t, %v", i, p.Fresh, err)
		}
	}
}
