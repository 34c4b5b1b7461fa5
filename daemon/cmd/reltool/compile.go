package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// pack compiles a source and writes its signed package into dir; it returns the file's path. The file appears complete.
func pack(ctx context.Context, s source, dir string, by release.Signer) (string, error) {
	work, err := os.MkdirTemp("", "reltool-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work) //nolint:errcheck // the system cleans its temporary folder
	binary, self, err := compiled(ctx, s, work, "")
	if err != nil {
		return "", err
	}
	return write(s, binary, self, dir, by)
}

// compiled compiles a source into a folder and asks the binary what it is. It calls itself by the version in stamp, if
// there is one.
func compiled(ctx context.Context, s source, dir, stamp string) (binary string, self []byte, err error) {
	binary = filepath.Join(dir, "service")
	if err = compile(ctx, s.dir, binary, stamp); err == nil {
		self, err = release.Describe(ctx, binary)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", s, err)
	}
	return binary, self, err
}

// examine is the version that a source would be, which nothing is packed of.
func examine(ctx context.Context, s source) (v appup.Version, err error) {
	work, err := os.MkdirTemp("", "reltool-")
	if err != nil {
		return v, err
	}
	defer os.RemoveAll(work) //nolint:errcheck // the system cleans its temporary folder
	_, self, err := compiled(ctx, s, work, "")
	if err != nil {
		return v, err
	}
	v.Manifest = s.manifest
	if err := json.Unmarshal(self, &v.Describe); err != nil {
		return v, fmt.Errorf("%s: what it says of itself: %w", s, err)
	}
	return v, nil
}

// compile builds a program that depends on nothing of this machine, and not on where its source is.
func compile(ctx context.Context, dir, binary, stamp string) error {
	link := "-s -w"
	if stamp != "" {
		link += " -X " + stampedIn + "=" + stamp
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags="+link, "-o", binary, ".")
	cmd.Dir = dir
	cmd.Env = append([]string{"GOGC=400"}, append(os.Environ(), "CGO_ENABLED=0")...) // time for memory: a tenth less of a link
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &hinted{fmt.Errorf("go build in %s failed", dir), string(out)}
	}
	if errors.Is(err, exec.ErrNotFound) {
		return &hinted{err, "reltool build compiles with Go; install it from https://go.dev/dl"}
	}
	return err
}

// stampedIn is the variable of package sdk that replaces a service's version.
const stampedIn = "github.com/theseusd/theseus/sdk.stamp"

// write packs into a hidden file and renames it, so that nobody sees half a package.
func write(s source, binary string, self []byte, dir string, by release.Signer) (path string, err error) {
	f, err := os.CreateTemp(dir, ".package-*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	before, err := predecessors(s)
	if err != nil {
		return "", err
	}
	var to io.Writer = f
	if s.loose {
		to = release.Loose{Writer: f}
	}
	if err := errors.Join(release.Pack(to, s.text, binary, self, by, before...), f.Chmod(0o644), f.Close()); err != nil {
		return "", fmt.Errorf("%s: %w", s, err)
	}
	path = filepath.Join(dir, release.FileName(s.manifest.Name, s.manifest.Version))
	return path, os.Rename(f.Name(), path)
}
