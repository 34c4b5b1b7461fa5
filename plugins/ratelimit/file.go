package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/policy"
	"github.com/theseusd/theseus/sdk/state"
)

// policyFile is the file of policies, and what it said when it was good last. That lies in the log: a file that was
// spoilt or lost changes nothing over a crash or an upgrade either.
type policyFile struct {
	path string // empty if there is none
	kept *state.Table[keptFile]

	seen string // text that was looked at last
	err  error  // what is wrong with it; nil if it is in force
	good []policy.Policy
	at   time.Time // when that was read
}

// keptFile is the one row of its table.
type keptFile struct {
	Path string    `json:"path"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

const lastGood = "last_good"

func newPolicyFile(r state.Registrar, path string) *policyFile {
	return &policyFile{path: path, kept: state.NewTable(r, "policy_file", state.Schema[keptFile]{Name: "policy_file", Version: 1})}
}

// begin takes the file, or what was good last of the same path.
func (f *policyFile) begin() error {
	f.seen, f.err, f.good = "", nil, nil
	if f.path == "" {
		return nil
	}
	_, err := f.look()
	if err == nil {
		return nil
	}
	kept, ok, lookupErr := f.kept.Lookup(lastGood)
	if lookupErr != nil || !ok || kept.Path != f.path {
		return errors.Join(err, lookupErr)
	}
	good, parseErr := policy.Parse(filepath.Base(f.path), []byte(kept.Text))
	if parseErr != nil {
		return errors.Join(err, parseErr)
	}
	f.good, f.at = good, kept.At
	return err
}

// look reads the file. changed says that it is not as it was looked at last; the error, that it cannot be used.
func (f *policyFile) look() (changed bool, err error) {
	text, err := f.read()
	if err != nil {
		text = "\x00" + err.Error() // no file has this text
	}
	if text == f.seen {
		return false, f.err
	}
	f.seen = text
	if err == nil {
		var all []policy.Policy
		if all, err = policy.Parse(filepath.Base(f.path), []byte(text)); err == nil {
			f.good, f.at = all, time.Now().UTC()
			err = f.kept.Put(lastGood, keptFile{f.path, text, f.at})
		}
	}
	f.err = err
	return true, err
}

// read reads no more than a file of policies may have.
func (f *policyFile) read() (string, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, policy.MaxSize+1))
	return string(text), err
}
