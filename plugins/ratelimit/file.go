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

	seen string // text that was looked at last, unless it could not be kept
	err  error  // what is wrong with it; nil if it is in force
	good []policy.Policy
}

// keptFile is the one row of its table.
type keptFile struct {
	Path string    `json:"path"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

const lastGood = "last_good"

// unseen begins what is no text of a file: a good one has no such byte.
const unseen = "\x00"

func newPolicyFile(r state.Registrar, path string) *policyFile {
	return &policyFile{path: path, kept: state.NewTable(r, "policy_file", state.Schema[keptFile]{Name: "policy_file", Version: 1})}
}

// begin takes the file, or what was good last of the same path; found tells whether there is either.
func (f *policyFile) begin() (found bool, err error) {
	f.seen, f.err, f.good = unseen, nil, nil
	if f.path == "" {
		return false, nil
	}
	if _, err = f.look(); err == nil {
		return true, nil
	}
	kept, found, keptErr := f.keptText()
	if keptErr != nil || !found {
		return false, errors.Join(err, keptErr)
	}
	good, parseErr := policy.Parse(filepath.Base(f.path), []byte(kept))
	if parseErr != nil {
		return false, errors.Join(err, parseErr)
	}
	f.good = good
	return true, err
}

// keptText is what the file said when it was good last.
func (f *policyFile) keptText() (text string, found bool, err error) {
	kept, ok, err := f.kept.Lookup(lastGood)
	if err != nil || !ok || kept.Path != f.path {
		return "", false, err
	}
	return kept.Text, true, nil
}

// look reads the file. changed says that it is not as it was looked at last; the error, that it is not in force.
func (f *policyFile) look() (changed bool, err error) {
	text, err := f.read()
	if err != nil {
		text = unseen + err.Error()
	}
	if text == f.seen {
		return false, f.err
	}
	f.seen = text
	if err == nil {
		err = f.take(text)
	}
	f.err = err
	return true, err
}

// take puts a text in force that is good and kept. One that cannot be kept now, on a full disk, is looked at again.
func (f *policyFile) take(text string) error {
	all, err := policy.Parse(filepath.Base(f.path), []byte(text))
	if err != nil {
		return err
	}
	if err := f.keep(text); err != nil {
		f.seen = unseen
		return err
	}
	f.good = all
	return nil
}

// keep brings a good text into the log.
func (f *policyFile) keep(text string) error {
	if kept, found, _ := f.keptText(); found && kept == text {
		return nil
	}
	return f.kept.Put(lastGood, keptFile{f.path, text, time.Now().UTC()})
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
