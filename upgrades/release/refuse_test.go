package release

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/theseusd/theseus/upgrades/appup"
)

func TestAddRefuses(t *testing.T) {
	const n, v, file = "visits", "1.0.0", "visits-1.0.0.tpk"
	whole := good(n, v)
	other := func(change func([]byte)) []byte {
		b := service("say " + string(description(n, v)))
		change(b)
		return b
	}
	foreign, number := "arm64", byte(elf.EM_AARCH64)
	if here.arch == foreign {
		foreign, number = "amd64", byte(elf.EM_X86_64)
	}
	for _, c := range []struct {
		name, file string
		text       []byte
		reason     string
	}{
		{"an empty file", file, nil, "it is truncated"},
		{"a text", file, []byte("dear diary"), "it is no package: not compressed with gzip"},
		{"a file cut in the middle", file, whole[:len(whole)/2], "it is truncated"},
		{"a file cut at the last byte", file, whole[:len(whole)-1], "it is truncated"},
		{"a spoiled byte", file, spoil(whole), "service is not the file that was signed"},
		{"a second file behind it", file, append(append([]byte(nil), whole...), whole...), "bytes follow the package"},

		{"no binary", file, goodParts(n, v).meta(n, v, nil)[:4].bytes(), "the binary is missing (service)"},
		{"no manifest", file, without(goodParts(n, v).meta(n, v, nil), 2).bytes(), "appup.toml is missing"},
		{"no package.json", file, without(goodParts(n, v), 0).bytes(), "package.json is missing"},
		{"nothing in it", file, parts{}.bytes(), "package.json is missing"},
		{"one file too many", file, append(goodParts(n, v).meta(n, v, nil), entry{name: "extra"}).bytes(), `"extra" does not belong in it`},
		{"a path out of it", file, parts{{name: "../../x"}}.bytes(), `"../../x" does not belong in it`},
		{"an absolute path", file, parts{{name: "/etc/passwd"}}.bytes(), `"/etc/passwd" does not belong in it`},
		{"a link for the binary", file, link(goodParts(n, v).meta(n, v, nil), tar.TypeSymlink).bytes(), "service is no regular file in it"},
		{"a hard link for the binary", file, link(goodParts(n, v).meta(n, v, nil), tar.TypeLink).bytes(), "service is no regular file in it"},

		{"another name in the file name", "cache-1.0.0.tpk", whole, "the file is named cache 1.0.0, and in it is visits 1.0.0"},
		{"another version in the file name", "visits-1.0.1.tpk", whole, "the file is named visits 1.0.1, and in it is visits 1.0.0"},
		{"a manifest of another version", file, goodParts(n, v).set(manifestFile, manifest(n, "1.0.1")).meta(n, v, nil).bytes(), "package.json is of visits 1.0.0, and appup.toml of visits 1.0.1"},
		{"a manifest of another name", file, goodParts(n, v).set(manifestFile, manifest("cache", v)).meta(n, v, nil).bytes(), "package.json is of visits 1.0.0, and appup.toml of cache 1.0.0"},
		{"a binary of another version", file, goodParts(n, v).set(describeFile, description(n, "1.0.1")).meta(n, v, nil).bytes(), "the manifest is of version 1.0.0, the binary of 1.0.1"},
		{"a binary that says another version", file, goodParts(n, v).set(binaryFile, service("say "+string(description(n, "1.0.1")))).meta(n, v, nil).bytes(), "`service --describe` does not say what describe.json says"},
		{"a binary that says nothing", file, goodParts(n, v).set(binaryFile, service("say ")).meta(n, v, nil).bytes(), "`service --describe` does not say what describe.json says"},
		{"a bad manifest", file, goodParts(n, v).set(manifestFile, []byte("nam = 1")).meta(n, v, nil).bytes(), "appup.toml:1:1: unknown key \"nam\"; did you mean \"name\"?\n  1 | nam = 1\n    | ^"},
		{"a description that is none", file, goodParts(n, v).set(describeFile, []byte("[]")).meta(n, v, nil).bytes(), "describe.json is no description of a service"},
		{"a package.json that is none", file, goodParts(n, v).sign([]byte("{"), "theseus").bytes(), "package.json is not readable"},
		{"another digest of the binary", file, goodParts(n, v).meta(n, v, func(m *meta) { m.Files[binaryFile] = part{digest(nil), m.Files[binaryFile].Size} }).bytes(), "service is not the file that was signed"},
		{"no digest of the manifest", file, goodParts(n, v).meta(n, v, func(m *meta) { delete(m.Files, manifestFile) }).bytes(), "package.json does not list appup.toml"},

		{"a script for a binary", file, goodParts(n, v).set(binaryFile, []byte("#!/bin/sh\necho this is longer than a header\n")).meta(n, v, nil).bytes(), "its binary cannot be executed: it is no ELF executable"},
		{"an empty binary", file, goodParts(n, v).set(binaryFile, nil).meta(n, v, nil).bytes(), "its binary cannot be executed: it is no ELF executable"},
		{"a binary for another processor", file, goodParts(n, v).set(binaryFile, other(func(b []byte) { b[18] = number })).meta(n, v, nil).bytes(), "its binary is for linux/" + foreign + ", and this machine is " + here.String()},
		{"a binary for freebsd", file, goodParts(n, v).set(binaryFile, other(func(b []byte) { b[7] = 9 })).meta(n, v, nil).bytes(), "its binary is for freebsd/" + here.arch + ", and this machine is " + here.String()},
		{"an object file", file, goodParts(n, v).set(binaryFile, other(func(b []byte) { b[16] = 1 })).meta(n, v, nil).bytes(), "it is no ELF executable"},
		{"a package.json for another processor", file, goodParts(n, v).meta(n, v, func(m *meta) { m.Arch = foreign }).bytes(), "package.json says linux/" + foreign + ", and the binary is for " + here.String()},
		{"a binary without a body", file, goodParts(n, v).set(binaryFile, program[:4096]).meta(n, v, nil).bytes(), "`service --describe`"},
		{"a binary that fails", file, goodParts(n, v).set(binaryFile, service("fail out of cheese")).meta(n, v, nil).bytes(), "`service --describe` failed: exit status 3: out of cheese"},
		{"a binary that never stops talking", file, goodParts(n, v).set(binaryFile, service("flood ")).meta(n, v, nil).bytes(), "`service --describe` prints more than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := store(t)
			_, err := drop(t, s, c.file, c.text)
			refused(t, s, err, c.file, c.reason)
		})
	}
}

func spoil(text []byte) []byte {
	text = append([]byte(nil), text...)
	text[len(text)/2] ^= 0x10
	return text
}

func without(p parts, i int) parts { return append(p[:i:i], p[i+1:]...) }

func link(p parts, kind byte) parts {
	p[4].kind, p[4].link = kind, "/bin/sh"
	return p
}

func TestAddRefusesWhatIsNoFile(t *testing.T) {
	s, dir := store(t), t.TempDir()
	real := filepath.Join(dir, "real.tpk")
	write(t, real, good("visits", "1.0.0"))
	if err := errors.Join(
		os.Symlink(real, filepath.Join(dir, "link.tpk")),
		os.Mkdir(filepath.Join(dir, "dir.tpk"), 0o755),
		syscall.Mkfifo(filepath.Join(dir, "fifo.tpk"), 0o644),
	); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", filepath.Join(dir, "sock.tpk"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for file, reason := range map[string]string{
		"link.tpk": "it is a symbolic link", "dir.tpk": "it is no regular file",
		"fifo.tpk": "it is no regular file", "sock.tpk": "it is no regular file",
	} {
		_, err := s.Add(context.Background(), filepath.Join(dir, file))
		refused(t, s, err, file, reason)
	}
}

func TestBombsAreRefusedBeforeTheyGrow(t *testing.T) {
	const n, v, file = "visits", "1.0.0", "visits-1.0.0.tpk"
	zeros := make([]byte, 4<<20)
	for _, c := range []struct {
		name   string
		limits limits
		text   []byte
		reason string
	}{
		{"the file", limits{file: 100, text: 1 << 20, binary: 1 << 30, trailer: 1 << 20}, good(n, v), "at most 100 are allowed"},
		{"the binary", limits{file: 1 << 30, text: 1 << 20, binary: 1 << 20, trailer: 1 << 20}, goodParts(n, v).set(binaryFile, zeros).meta(n, v, nil).bytes(), "service has 4194304 bytes; at most 1048576 are allowed"},
		{"the manifest", defaultLimits, goodParts(n, v).set(manifestFile, zeros).meta(n, v, nil).bytes(), "appup.toml has 4194304 bytes; at most 1048576 are allowed"},
		{"what comes last", defaultLimits, trailing(goodParts(n, v).meta(n, v, nil), zeros), "it goes on behind its last file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := store(t)
			s.limits = c.limits
			_, err := drop(t, s, file, c.text)
			refused(t, s, err, file, c.reason)
		})
	}
}

func TestErrorsOfThisMachineRefuseNothing(t *testing.T) {
	var r *RejectError
	s := store(t)
	if _, err := s.Add(context.Background(), "/no/such.tpk"); !errors.Is(err, os.ErrNotExist) || errors.As(err, &r) {
		t.Fatalf("no such file: %v", err)
	}
	path := filepath.Join(t.TempDir(), "visits-1.0.0.tpk")
	write(t, path, good("visits", "1.0.0"))
	stopped, stop := context.WithCancelCause(context.Background())
	stop(errors.New("we are leaving"))
	if _, err := s.Add(stopped, path); err == nil || errors.As(err, &r) || !strings.Contains(err.Error(), "we are leaving") {
		t.Fatalf("stopped: %v", err)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Add(context.Background(), path); err == nil || errors.As(err, &r) {
		t.Fatalf("no store: %v", err)
	}
}

func TestAFullDiskRefusesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("full", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("needs the right to mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s, err := OpenStore(filepath.Join(dir, "store"), keys)
	if err != nil {
		t.Fatal(err)
	}
	_, err = drop(t, s, "visits-1.0.0.tpk", good("visits", "1.0.0"))
	var r *RejectError
	if !errors.Is(err, syscall.ENOSPC) || errors.As(err, &r) {
		t.Fatalf("err = %v", err)
	}
	if left, _ := os.ReadDir(s.dir); len(left) > 0 {
		t.Fatalf("left: %v", left)
	}
}

func TestABinaryThatHangsIsKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "service")
	write(t, path, service("hang "))
	_, err := run(context.Background(), path, t.TempDir(), 200*time.Millisecond)
	var d *DescribeError
	if !errors.As(err, &d) || d.Reason != "`service --describe` did not end within 200ms" {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer stop()
	if _, err := Describe(ctx, path); !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &d) {
		t.Fatalf("the caller's own deadline: %v", err)
	}
}

func TestAChildLeftBehindIsKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "service")
	write(t, path, service("leave "))
	_, err := Describe(context.Background(), path)
	var d *DescribeError
	if !errors.As(err, &d) {
		t.Fatal(err)
	}
}

func TestDescribeHasACleanEnvironment(t *testing.T) {
	t.Setenv("SECRET", "of the daemon")
	path := filepath.Join(t.TempDir(), "service")
	write(t, path, service("environ "))
	text, err := Describe(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	dir := lines[len(lines)-1]
	want := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + dir, "TMPDIR=" + dir, "PWD=" + dir}
	for _, v := range lines[:len(lines)-1] {
		if !strings.Contains(strings.Join(want, "\n")+"\n", v+"\n") {
			t.Fatalf("%s in its environment", v)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("its directory is left: %v", err)
	}
}

func TestRejectKeepsThePackageAndSaysWhy(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "visits-1.0.0.tpk")
	for _, text := range []string{"first", "second"} {
		write(t, path, []byte(text))
		err := &RejectError{File: "visits-1.0.0.tpk", Reason: "it is truncated", Hint: "copy it again", Err: &appup.ParseError{}}
		if err := Reject(path, err); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("still there: %v", err)
		}
		moved := filepath.Join(dir, "rejected", "visits-1.0.0.tpk")
		if got, _ := os.ReadFile(moved); string(got) != text {
			t.Fatalf("%q", got)
		}
		want := "visits-1.0.0.tpk refused: it is truncated\nhint: copy it again\n"
		if got, _ := os.ReadFile(moved + ".reason"); string(got) != want {
			t.Fatalf("%q", got)
		}
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "rejected")); len(left) != 2 {
		t.Fatalf("%v", left)
	}
	if err := Reject(path, errors.New("gone")); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
}

// Whatever the bytes: a refusal, or a package that names what it unpacked; and nothing outside of its directory.
func FuzzUnpack(f *testing.F) {
	small := parts{{name: metaFile, text: []byte("{}")}, {name: signatureFile}, {name: manifestFile}, {name: describeFile}, {name: binaryFile, text: []byte("x")}}
	whole := small.bytes()
	f.Add(whole)
	f.Add(whole[:len(whole)-5])
	f.Add(append(append([]byte(nil), whole...), 'x'))
	f.Add(parts{{name: "../x", text: []byte("x")}}.bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		var seen witness
		err := unpack(context.Background(), bytes.NewReader(text), dir, limits{text: 1 << 16, binary: 1 << 16, trailer: 1 << 16}, &seen)
		var r *RejectError
		switch {
		case err == nil && len(seen) != len(contents):
			t.Fatal(seen)
		case err != nil && !errors.As(err, &r):
			t.Fatal(err)
		}
		if out, _ := os.ReadDir(outer); len(out) != 1 {
			t.Fatalf("outside: %v", out)
		}
	})
}

// witness is a checker that believes everything.
type witness []string

func (w *witness) announced(string, int64) error { return nil }

func (w *witness) unpacked(name string, _ part) error {
	*w = append(*w, name)
	return nil
}

func TestABinaryThatIsBusyIsAskedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "service")
	write(t, path, service("say hello"))
	held, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := run(context.Background(), path, t.TempDir(), time.Second); !errors.Is(err, syscall.ETXTBSY) {
		t.Fatalf("still busy: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = held.Close() })
	if text, err := Describe(context.Background(), path); err != nil || string(text) != "hello" {
		t.Fatalf("%s, %v", text, err)
	}
}
