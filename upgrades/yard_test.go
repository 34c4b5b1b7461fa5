package upgrades

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/theseusd/theseus/sdk/describe"
	"github.com/theseusd/theseus/upgrades/release"
	"github.com/theseusd/theseus/upgrades/trust"
)

// yard is a real store, and what it takes to make packages for it.
type yard struct {
	dir   string
	keys  trust.Dir
	by    release.Signer
	store *release.Store
}

// program is a service that says what stands behind the last "#" of its own binary.
var program = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "upgrades-test-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	path := filepath.Join(dir, "service")
	if out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, "./release/testdata/service").CombinedOutput(); err != nil {
		return nil, errors.New(string(out))
	}
	return os.ReadFile(path)
})

func newYard(t *testing.T) *yard {
	t.Helper()
	y := &yard{dir: t.TempDir()}
	y.keys = trust.Of(y.dir)
	_, err := y.keys.Generate()
	must(t, err)
	y.by.Key, err = y.keys.Local()
	must(t, err)
	y.store, err = release.OpenStore(filepath.Join(y.dir, "store"), y.keys)
	must(t, err)
	return y
}

func (y *yard) describe(version string) []byte {
	text, err := json.Marshal(describe.Service{
		Name: "visits", Version: version, Protocol: 1, OS: runtime.GOOS, Arch: runtime.GOARCH,
	})
	if err != nil {
		panic(err)
	}
	return text
}

// binary writes a service of that version and returns its path.
func (y *yard) binary(t *testing.T, version string) string {
	t.Helper()
	code, err := program()
	must(t, err)
	path := filepath.Join(t.TempDir(), "service")
	text := append(append(bytes.Clone(code), "#say "...), y.describe(version)...)
	must(t, os.WriteFile(path, text, 0o755))
	return path
}

// pack is a good package file.
func (y *yard) pack(t *testing.T, version string) []byte {
	t.Helper()
	var b bytes.Buffer
	manifest := "name = \"visits\"\nversion = \"" + version + "\"\n[[up]]\nfrom = \"*\"\n"
	must(t, release.Pack(&b, []byte(manifest), y.binary(t, version), y.describe(version), y.by))
	return b.Bytes()
}

// entry is a file in a package.
type entry struct {
	name, also string // also is a second name for the same text
	text       []byte
}

// again packs a good package again, with changed files.
func (y *yard) again(t *testing.T, version string, change func(e *entry)) []byte {
	t.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(y.pack(t, version)))
	must(t, err)
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	from, to := tar.NewReader(zr), tar.NewWriter(zw)
	for {
		h, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		text, err := io.ReadAll(from)
		must(t, err)
		e := &entry{name: h.Name, text: text}
		change(e)
		for _, name := range []string{e.name, e.also} {
			if name != "" {
				h.Name, h.Size = name, int64(len(e.text))
				must(t, to.WriteHeader(h))
				_, err = to.Write(e.text)
				must(t, err)
			}
		}
	}
	must(t, errors.Join(to.Close(), zw.Close()))
	return b.Bytes()
}

// add drops a package file into the store.
func (y *yard) add(t *testing.T, file string, text []byte) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	must(t, os.WriteFile(path, text, 0o644))
	_, err := y.store.Add(t.Context(), path)
	return err
}

// stored lets something go wrong at a real store and says what came of it. A good package must still come in.
func stored(wrong func(t *testing.T, y *yard) error) func(t *testing.T) string {
	return func(t *testing.T) string {
		y := newYard(t)
		err := wrong(t, y)
		left, lerr := os.ReadDir(filepath.Join(y.dir, "store"))
		if err == nil || lerr != nil || len(left) > 0 {
			t.Fatalf("%v, %v, left in the store: %v", err, lerr, left)
		}
		must(t, y.add(t, "visits-2.0.0.tpk", y.pack(t, "2.0.0")))
		reason := sizes.ReplaceAllString(firstLine(reasonOf(err)), "...")
		return "refused: " + strings.ReplaceAll(reason, "|", "\\|") + "; nothing is left behind, and a good one comes in"
	}
}

// sizes and names of keys are others in each run.
var sizes = regexp.MustCompile(`[0-9A-F]{6,}`)

func reasonOf(err error) string {
	var r *release.RejectError
	if errors.As(err, &r) {
		return r.Reason
	}
	return err.Error()
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
