package release

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/upgrades/trust"
)

var (
	program []byte // testdata/service, without a "#"
	keys    trust.Dir
	secret  trust.Secret // that keys trusts
)

// signedAt is when the packages of these tests were signed.
var signedAt = time.Date(2026, 11, 23, 9, 27, 50, 123e6, time.UTC)

func TestMain(m *testing.M) {
	if dir := os.Getenv("RELEASE_TEST_ADD"); dir != "" {
		fmt.Println(addForEver(dir, trust.Of(os.Getenv("RELEASE_TEST_KEYS"))))
		os.Exit(1)
	}
	os.Exit(withProgram(m))
}

func withProgram(m *testing.M) int {
	dir, err := os.MkdirTemp("", "release-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	os.Setenv("RELEASE_TEST_KEYS", dir)
	keys = trust.Of(dir)
	if _, err := keys.Generate(); err != nil {
		panic(err)
	}
	if secret, err = keys.Local(); err != nil {
		panic(err)
	}
	path := filepath.Join(dir, "service")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, "./testdata/service")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	if program, err = os.ReadFile(path); err != nil {
		panic(err)
	}
	return m.Run()
}

// service is a binary that does what the words say.
func service(words string) []byte { return append(append([]byte(nil), program...), "#"+words...) }

func description(name, version string) []byte {
	text, err := json.Marshal(describe.Service{
		Name: name, Version: version, Protocol: 1, OS: here.os, Arch: here.arch,
		Tables: []describe.Table{{Name: "visits", Schema: "visit", Version: 1, Shape: "{user:string}"}},
	})
	if err != nil {
		panic(err)
	}
	return text
}

func manifest(name, version string) []byte {
	return fmt.Appendf(nil, "name = %q\nversion = %q\n[[up]]\nfrom = \"*\"\n", name, version)
}

// entry is one entry of a package made by hand.
type entry struct {
	name string
	text []byte
	kind byte
	link string
	mode int64 // besides 0777
}

// parts are the entries of a good package of a service; package.json is written last, for what the others are then, and
// signed.
type parts []entry

func goodParts(name, version string) parts {
	d := description(name, version)
	return parts{
		{name: metaFile},
		{name: signatureFile},
		{name: manifestFile, text: manifest(name, version)},
		{name: describeFile, text: d},
		{name: binaryFile, text: service("say " + string(d))},
	}
}

func (p parts) set(name string, text []byte) parts {
	for i := range p {
		if p[i].name == name {
			p[i].text = text
		}
	}
	return p
}

// meta fills in package.json and signs it; change may spoil it before.
func (p parts) meta(name, version string, change func(*meta)) parts {
	m := meta{
		Name: name, Version: version, OS: here.os, Arch: here.arch,
		Seq: signedAt.UnixMilli(), Created: signedAt, Files: map[string]part{},
	}
	for _, e := range p {
		if slices.Contains(listed, e.name) {
			m.Files[e.name] = partOf(e.text)
		}
	}
	if change != nil {
		change(&m)
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return p.sign(text, m.comment())
}

// sign puts a text in the place of package.json, with a good signature.
func (p parts) sign(text []byte, comment string) parts {
	return p.set(metaFile, text).set(signatureFile, secret.Sign(text, comment))
}

func (p parts) bytes() []byte {
	var b bytes.Buffer
	zw, _ := gzip.NewWriterLevel(&b, gzip.NoCompression) // fast under the race detector
	tw := tar.NewWriter(zw)
	for _, e := range p {
		h := header(e.name, int64(len(e.text)), 0o777|e.mode)
		if e.kind != 0 {
			h.Typeflag, h.Linkname, h.Size = e.kind, e.link, 0
		}
		if err := tw.WriteHeader(h); err != nil {
			panic(err)
		}
		if h.Size > 0 {
			if _, err := tw.Write(e.text); err != nil {
				panic(err)
			}
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// digestOf is the name of a package in the store.
func digestOf(t *testing.T, text []byte) string {
	t.Helper()
	p, err := drop(t, store(t), "any", text)
	if err != nil {
		t.Fatal(err)
	}
	return p.Digest
}

// good is the bytes of a good package.
func good(name, version string) []byte {
	return goodParts(name, version).meta(name, version, nil).bytes()
}

// pack makes a package with Pack.
func pack(t *testing.T, name, version string) []byte {
	t.Helper()
	d := description(name, version)
	binary := filepath.Join(t.TempDir(), name)
	write(t, binary, service("say "+string(d)))
	var b bytes.Buffer
	if err := Pack(&b, manifest(name, version), binary, d, Signer{Key: secret, At: signedAt}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
}

func store(t *testing.T) *Store {
	t.Helper()
	s, err := OpenStore(filepath.Join(t.TempDir(), "store"), keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// drop writes a package file and adds it.
func drop(t *testing.T, s *Store, file string, text []byte) (Package, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	write(t, path, text)
	return s.Add(context.Background(), path)
}

// refused fails the test unless err refuses the file for that reason and the store is as empty as before.
func refused(t *testing.T, s *Store, err error, file, reason string) {
	t.Helper()
	var r *RejectError
	if !errors.As(err, &r) {
		t.Fatalf("err = %v, want a refusal: %s", err, reason)
	}
	if r.File != file || !strings.Contains(r.Reason, reason) {
		t.Fatalf("refused %s: %s\nwant %s: %s", r.File, r.Reason, file, reason)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "*")); len(left) > 0 {
		t.Fatalf("left in the store: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, ".*")); len(left) > 0 {
		t.Fatalf("left in the store: %v", left)
	}
}

// squeezed is the package as small as it gets.
func squeezed(p parts) []byte {
	zr, err := gzip.NewReader(bytes.NewReader(p.bytes()))
	if err != nil {
		panic(err)
	}
	text, err := io.ReadAll(zr)
	if err != nil {
		panic(err)
	}
	return compressed(text)
}

func compressed(text []byte) []byte {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := zw.Write(text); err != nil {
		panic(err)
	}
	if err := zw.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// trailing is a package with bytes behind the end of its tar, inside of the compression.
func trailing(p parts, more []byte) []byte {
	var b bytes.Buffer
	zr, err := gzip.NewReader(bytes.NewReader(p.bytes()))
	if err != nil {
		panic(err)
	}
	zw, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if _, err := io.Copy(zw, zr); err != nil {
		panic(err)
	}
	if _, err := zw.Write(more); err != nil {
		panic(err)
	}
	if err := zw.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}
