package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/theseusd/theseus/sdk/durable"
	"github.com/theseusd/theseus/upgrades/appup"
)

// showDraft prints a draft, or writes the manifest and prints the rest.
func (t *tool) showDraft(s source, d *appup.Draft, write bool) error {
	if d.Empty() {
		if t.json {
			return t.out.json(d)
		}
		return t.nothing(s, fmt.Sprintf("it covers the way from %s and back", d.From))
	}
	file := filepath.Join(s.dir, manifestName)
	text, err := d.Manifest()
	if err != nil {
		return fmt.Errorf("the draft does not fit into %s: %w", file, err)
	}
	if write && string(text) != string(s.text) {
		if err := replace(file, text); err != nil {
			return err
		}
	}
	if t.json {
		return t.out.json(d)
	}
	t.printManifest(file, d, write)
	t.printSteps(s, d)
	for _, left := range d.Left {
		fmt.Fprintln(t.out, "left to you: "+left)
	}
	return nil
}

func (t *tool) printManifest(file string, d *appup.Draft, written bool) {
	if len(d.Top) == 0 && d.Sections == "" {
		return
	}
	if written {
		fmt.Fprintf(t.out, "written: %s, for the way from %s and back\n\n", file, d.From)
		return
	}
	fmt.Fprintf(t.out, "# %s, for the way from %s and back", file, d.From)
	if len(d.Top) > 0 {
		fmt.Fprint(t.out, "; above the first [table]:\n\n")
		for _, l := range d.Top {
			fmt.Fprintf(t.out, "# %s\n%s\n", l.Note, l.Text)
		}
		if d.Sections != "" {
			fmt.Fprint(t.out, "\n# and at the end:\n\n")
		}
	} else {
		fmt.Fprint(t.out, "; at the end:\n\n")
	}
	fmt.Fprintln(t.out, d.Sections)
}

func (t *tool) printSteps(s source, d *appup.Draft) {
	for _, step := range d.Steps {
		fmt.Fprintf(t.out, "// the Go code in %s: table %s: %s\n", s.dir, step.Table, step.Reason)
		if step.Advice != "" {
			fmt.Fprintf(t.out, "// %s\n", step.Advice)
		}
		if step.Fill {
			fmt.Fprintln(t.out, `// it compiles with "errors" imported, and fails in the rehearsal until you have filled it in`)
		}
		if step.Go != "" {
			fmt.Fprintf(t.out, "\n%s\n\n", step.Go)
		}
	}
}

// replace gives a file another text and leaves its mode.
func replace(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return durable.Replace(path, text, func(f *os.File) error { return f.Chmod(info.Mode().Perm()) })
}
