package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	matrix "github.com/theseusd/theseus/upgrades/fault"
)

// plant is a bug that the matrix must find: a change of the sources that only its own build has.
type plant struct {
	name  string
	edits []edit
	cases []string // those that it is looked for with
}

type edit struct{ file, from, to string }

// overlay writes the changed files, and the file for go build that puts them in the place of the real ones.
func (p *plant) overlay(root, dir string) (string, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for i, e := range p.edits {
		path := filepath.Join(root, e.file)
		if replace[path] == "" {
			replace[path] = filepath.Join(dir, fmt.Sprintf("planted-%d.go", i))
			if err := copyFile(path, replace[path]); err != nil {
				return "", err
			}
		}
		if err := e.apply(replace[path]); err != nil {
			return "", fmt.Errorf("planted bug %q: %w", p.name, err)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, text, 0o600)
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

func (e edit) apply(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if n := strings.Count(string(text), e.from); n != 1 {
		return fmt.Errorf("%s has %d times what it is to replace, want once:\n%s", e.file, n, e.from)
	}
	return os.WriteFile(path, []byte(strings.Replace(string(text), e.from, e.to, 1)), 0o600)
}

// plant looks for each bug in a build of its own and tells how many are found.
func (r *runner) plant(ctx context.Context, dir string) (found int, err error) {
	errs, hows := make([]error, len(plants)), make([]error, len(plants))
	var wg sync.WaitGroup
	for i, p := range plants {
		wg.Go(func() { hows[i], errs[i] = r.seek(ctx, filepath.Join(dir, fmt.Sprint("p", i)), p) })
	}
	wg.Wait()
	for i, p := range plants {
		switch how := hows[i]; {
		case errs[i] != nil:
			err = errors.Join(err, fmt.Errorf("planted bug %q: %w", p.name, errs[i]))
		case how == nil:
			r.say("NOT FOUND: planted bug %q", p.name)
		default:
			found++
			r.say("planted bug %q found: %v", p.name, how)
		}
	}
	return found, err
}

// seek runs the cases of a planted bug until one of them is a violation, which it returns.
func (r *runner) seek(ctx context.Context, dir string, p *plant) (how, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	y, err := build(ctx, r.root, dir, p)
	if err != nil {
		return nil, err
	}
	y.patience /= 2
	f := &fleet{yard: y, seed: r.seed, dir: dir, keep: dir}
	var mu sync.Mutex
	var jobs []job
	for _, text := range p.cases {
		c, err := matrix.ParseCase(text)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, job{Case: c, done: func(o outcome) {
			mu.Lock()
			defer mu.Unlock()
			if o.err != nil && how == nil {
				how = fmt.Errorf("%s: %w", c, o.err)
				f.enough()
			}
		}})
	}
	err = f.run(ctx, 2, jobs)
	if how != nil {
		err = nil
	}
	return how, errors.Join(err, os.RemoveAll(dir))
}
