package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/theseusd/theseus/sdk/describe"
)

// files are those that the flags of a call name. Each is written beside its place and renamed when the verb is done, so
// that a verb that fails leaves what was there.
type files map[string]*file

type file struct {
	path  string // where links lead to
	to    *os.File
	whole bool // to is path itself: a pipe or a device
	full  bool // it was written
}

// openFiles makes sure that every file can be written, before anything begins.
func openFiles(v describe.Verb, args []string) (files, error) {
	all := files{}
	for _, f := range v.Flags {
		path, given := valueOf(f.Name, args)
		if !f.Writes || !given {
			continue
		}
		opened, err := openFile(path)
		if err != nil {
			all.discard()
			var of *os.PathError
			if errors.As(err, &of) {
				err = of.Err
			}
			return nil, fmt.Errorf("--%s %s cannot be written: %w", f.Name, path, err)
		}
		all[f.Name] = opened
	}
	return all, nil
}

// valueOf is what the arguments say of a flag.
func valueOf(name string, args []string) (value string, given bool) {
	args = flagsIn(args)
	for i, word := range args {
		if word == "--"+name && i+1 < len(args) {
			return args[i+1], true
		}
		if value, joined := strings.CutPrefix(word, "--"+name+"="); joined {
			return value, true
		}
	}
	return "", false
}

func openFile(path string) (*file, error) {
	if path == "" {
		return nil, errors.New("it has no name")
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	mode := os.FileMode(0o666) // less what the umask takes
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil, errors.New("it is a directory")
	case err == nil:
		there, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return &file{path: path, to: there, whole: true}, nil
		}
		_ = there.Close()
		mode = info.Mode().Perm()
	}
	beside := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d", filepath.Base(path), os.Getpid()))
	to, err := os.OpenFile(beside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return nil, err
	}
	return &file{path: path, to: to}, nil
}

// write takes the content for one flag.
func (all files) write(flag string, content []byte) error {
	f := all[flag]
	if f == nil {
		return fmt.Errorf("the service wants to write a file for --%s, which nobody has named", flag)
	}
	f.full = true
	_, err := f.to.Write(content)
	return err
}

// keep puts the files that were written in their places.
func (all files) keep() error {
	var errs []error
	for _, f := range all {
		if !f.full {
			continue
		}
		err := f.to.Close()
		if err == nil && !f.whole {
			err = os.Rename(f.to.Name(), f.path)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// discard removes what keep did not put in its place.
func (all files) discard() {
	for _, f := range all {
		_ = f.to.Close()
		if !f.whole {
			_ = os.Remove(f.to.Name())
		}
	}
}
