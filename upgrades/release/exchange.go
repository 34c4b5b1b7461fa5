package release

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/theseusd/theseus/sdk/durable"
)

// nextDir is in a package for which somebody vouches anew: package.json and its signature belong together, and whoever finds them here
// brings the exchange to its end.
const nextDir = ".next"

// prepare puts both files into the package, in one step.
func (c *candidate) prepare(dir string) error {
	pair := filepath.Join(c.dir, nextDir)
	if err := os.Mkdir(pair, 0o700); err != nil {
		return err
	}
	for _, name := range contents[:2] {
		if err := os.Rename(filepath.Join(c.dir, name), filepath.Join(pair, name)); err != nil {
			return err
		}
	}
	if err := durable.SyncDir(pair); err != nil {
		return err
	}
	if err := os.Rename(pair, filepath.Join(dir, nextDir)); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// exchange puts what was prepared in its place. Another process may be doing the same.
func exchange(dir string) error {
	pair := filepath.Join(dir, nextDir)
	for _, name := range contents[:2] {
		if err := os.Rename(filepath.Join(pair, name), filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := durable.SyncDir(dir); err != nil {
		return err
	}
	if err := os.Remove(pair); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// finish brings exchanges to their end that were cut short.
func (s *Store) finish() error {
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		dir := filepath.Join(s.dir, e.Name())
		if _, serr := os.Lstat(filepath.Join(dir, nextDir)); serr == nil && digestForm.MatchString(e.Name()) {
			err = errors.Join(err, exchange(dir))
		}
	}
	return err
}
