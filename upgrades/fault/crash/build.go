package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/theseusd/theseus/upgrades/release"
	"github.com/theseusd/theseus/upgrades/trust"
)

// The versions of the test service; testdata/tally says what they are.
const (
	one  = "1.0.0"
	two  = "2.0.0"
	bad  = "2.0.1-bad"
	lame = "2.0.2-lame"
)

var versions = []string{one, two, bad, lame}

// yard has what instances are made of.
type yard struct {
	theseusd string
	packages map[string]string // by version
	key      trust.Key         // that has signed them
	patience time.Duration     // how long an instance may take to be whole after a case

	launched atomic.Int64      // instances so far
	once     sync.Mutex        // held while the template is made
	first    string            // the directory that instances are copies of
	releases map[string]string // in it, by version
}

// build makes the binaries of the checkout, stripped: they are hashed at each start. A bug may be planted in a copy of
// the sources.
func build(ctx context.Context, root, dir string, p *plant) (*yard, error) {
	flags := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", dir + "/"}
	if p != nil {
		overlay, err := p.overlay(root, dir)
		if err != nil {
			return nil, err
		}
		flags = append(flags, "-overlay="+overlay)
	}
	y := &yard{theseusd: filepath.Join(dir, "theseusd"), packages: map[string]string{}, patience: wholeTime}
	for _, what := range []string{"./daemon/cmd/theseusd", "./upgrades/fault/crash/testdata/tally"} {
		cmd := exec.CommandContext(ctx, "go", append(flags, what)...)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build %s: %w\n%s", what, err, text)
		}
	}
	var err error
	if y.key, err = trust.Of(dir).Generate(); err != nil {
		return nil, err
	}
	secret, err := trust.Of(dir).Local()
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		file := filepath.Join(dir, "tally-"+v+".tpk")
		if err := pack(ctx, filepath.Join(dir, "tally"), file, v, release.Signer{Key: secret}); err != nil {
			return nil, err
		}
		y.packages[v] = file
	}
	return y, nil
}

// pack makes the package of one version.
func pack(ctx context.Context, program, file, version string, by release.Signer) error {
	text, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	binary := file + ".bin"
	if err := os.WriteFile(binary, append(text, "#"+version...), 0o700); err != nil {
		return err
	}
	defer os.Remove(binary) // it is in the package
	described, err := release.Describe(ctx, binary)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := release.Pack(&out, manifest(version), binary, described, by); err != nil {
		return err
	}
	return errors.Join(err, os.WriteFile(file, out.Bytes(), 0o600))
}

func manifest(version string) []byte {
	text := fmt.Sprintf(`name    = "tally"
version = %q
drain   = "200ms"

[[listen]]
name    = "http"
address = "127.0.0.1:0"

[probation]
health = "200ms"

[restart]
intensity = 20
`, version)
	if version != one {
		text += `
[[up]]
from      = "~1.0"
do        = "update"
probation = "600ms"

[[down]]
to        = "~1.0"
do        = "update"
probation = "600ms"
`
	}
	return []byte(text)
}
