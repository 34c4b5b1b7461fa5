// Package durable puts files where they stay: whatever ends the process or the machine, who reads a file finds the old text
// or the new one, never a part. Tables with state.Durable are what services need; this is for the few files beside them.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace gives a file a text in one step, with mode 0600, through no link. When it returns nil the text and the name are
// on disk. Each of prepare is done to the new file before it has its name. What a process has left that ended in the middle
// is removed by Sweep.
func Replace(path string, text []byte, prepare ...func(*os.File) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, pattern(path))
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	for _, each := range prepare {
		err = errors.Join(err, each(f))
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return SyncDir(dir)
}

// pattern of the names that a file has before it has its own.
func pattern(path string) string { return "." + filepath.Base(path) + "-*.tmp" }

// Sweep removes what unfinished Replaces of a file have left. Nobody may be replacing it.
func Sweep(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	for _, e := range entries {
		if left, _ := filepath.Match(pattern(path), e.Name()); left {
			err = errors.Join(err, os.Remove(filepath.Join(filepath.Dir(path), e.Name())))
		}
	}
	return err
}

// SyncDir puts the names in a directory on disk.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
