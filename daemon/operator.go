package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk/durable"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/release"
)

// operator is theseus.toml as the engine and the drop folder see it. What was read without a mistake is kept beside the journal: a
// daemon that starts on a mistake goes by that.
type operator struct {
	path, kept string
	start      *File // as it was when the daemon started, or was kept before

	mu   sync.Mutex
	last *File  // as it was read last without a mistake
	held []byte // what is kept, nil if that is not known
	lost error  // why the last one is not kept
}

var _ upgrades.Operator = (*operator)(nil)

// newOperator returns an operator in any case: with an error it is one that decides nothing yet but what the kept file says. It
// writes nothing: another daemon may be in charge, which goes by the kept file when it comes back.
func newOperator(path, kept string) (*operator, error) {
	o := &operator{path: path, kept: kept}
	f, err := Load(path)
	if err != nil {
		f = loadKept(kept)
	}
	o.start, o.last = f, f
	return o, err
}

// begin takes charge: from now on what is good is kept.
func (o *operator) begin() {
	_ = durable.Sweep(o.kept) // what stays is in nobody's way
	_, _ = o.newest()         // a mistake was told
}

// nothing stands in the kept file for a theseus.toml that is empty or missing. A kept file without a byte is one that was cut short.
const nothing = "# theseus.toml decides nothing\n"

// loadKept returns what was good once. If there is none the file is one of which nothing is known.
func loadKept(path string) *File {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		if f, err := Load(path); err == nil {
			return f
		}
	}
	return &File{name: filepath.Base(path), unread: true}
}

// keep writes a good file down, unless it is there already. The caller holds mu.
func (o *operator) keep(f *File) {
	text := f.text
	if len(text) == 0 {
		text = []byte(nothing)
	}
	if bytes.Equal(o.held, text) {
		return
	}
	if o.lost = durable.Replace(o.kept, text); o.lost == nil {
		o.held = text
	}
}

// accept makes a good file the last one.
func (o *operator) accept(f *File) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.keep(f)
	o.last = f
}

// Read reads the file again.
func (o *operator) Read(known map[string][]string, services release.Requires) (upgrades.Decided, error) {
	f, err := Load(o.path)
	if err != nil {
		return upgrades.Decided{}, err
	}
	d := upgrades.Decided{Settings: map[string]release.Settings{}}
	for name := range f.Service {
		if d.Settings[name], err = f.settings(name); err != nil {
			return d, err
		}
	}
	if d.Tree, err = f.supervision().Tree(); err != nil {
		return d, err
	}
	if known != nil {
		d.Warnings, err = f.strangers(known)
		d.Warnings = append(d.Warnings, f.hurried()...)
	}
	if err == nil && services != nil {
		err = f.inTree(f.supervision().CheckServices(services))
	}
	if err == nil {
		o.accept(f)
	}
	return d, err
}

// AtStart is what releases from before there were settings mean.
func (o *operator) AtStart(service string) release.Settings {
	s, err := o.start.settings(service)
	if err != nil {
		return release.NoSettings // Load has tried
	}
	return s
}

// newest reads the file for the drop folder. With an error it is the file as it was read last without a mistake.
func (o *operator) newest() (*File, error) {
	f, err := Load(o.path)
	if err == nil {
		o.accept(f)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last, err
}

// known is nil if there is a theseus.toml without a mistake, or was one before: else nobody knows what the operator allows.
func (o *operator) known() error {
	f, err := o.newest()
	if !f.unread {
		return nil
	}
	return fmt.Errorf("what theseus.toml allows is not known, as it has had a mistake ever since this daemon was started here: %w", err)
}

// unkept says why another daemon would not know the last good file, nil if it would.
func (o *operator) unkept() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.lost
}

// strangers lists what the file names and nobody knows: services, and listeners of those that are there. It is an error
// if a known name is so near that it can only be a slip; else it may be of a service that is still to come.
func (f *File) strangers(known map[string][]string) (warnings []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(f.Service)) {
		listeners, ok := known[name]
		if !ok {
			w, err := f.stranger("service."+name, "service "+name, name, slices.Sorted(maps.Keys(known)))
			if err != nil {
				return nil, err
			}
			warnings = append(warnings, w)
			continue
		}
		for _, l := range slices.Sorted(maps.Keys(f.Service[name].Listen)) {
			if len(listeners) == 0 || slices.Contains(listeners, l) {
				continue
			}
			w, err := f.stranger("service."+name+".listen."+l, name+" has no listener "+l, l, listeners)
			if err != nil {
				return nil, err
			}
			warnings = append(warnings, w)
		}
	}
	return warnings, nil
}

func (f *File) stranger(path, what, name string, known []string) (warning string, err error) {
	if strings.HasPrefix(what, "service ") {
		what = "there is no " + what + " in any release or package"
	}
	if near := appup.Nearest(name, known); near != "" {
		return "", f.at(path, what, fmt.Sprintf("did you mean %q?", near))
	}
	return f.at(path, what, "known: "+strings.Join(known, ", ")).Short(), nil
}

// failure is what reltool status says of the last upgrade, if that was rolled back by itself.
func (d *Daemon) failure() []string {
	f, failed := d.engine.LastFailure()
	if !failed {
		return nil
	}
	return []string{fmt.Sprintf("the last upgrade, to %s, was rolled back by itself at %s: %s",
		f.Release, f.Time.Local().Format(time.DateTime), f.Reason)}
}

// unwritable is what reltool status says of a journal that takes nothing more.
func (d *Daemon) unwritable() []string {
	if err := d.journal.Err(); err != nil {
		return []string{fmt.Sprintf("nothing is built or upgraded until another daemon opens the journal: once the disk is well, kill %d, and services go on: %s", os.Getpid(), err)}
	}
	return nil
}

// notes are what reltool status says of theseus.toml.
func (d *Daemon) notes() []string {
	drift, built, err := d.engine.Drift()
	var mistake *appup.ParseError
	switch {
	case errors.As(err, &mistake):
		return []string{"theseus.toml has a mistake, which the next build will refuse: " + mistake.Short() + d.meanwhile()}
	case err != nil:
		return []string{"theseus.toml cannot be read: " + err.Error()}
	case len(drift) > 0 && len(d.unknown()) > 0:
		return d.unknown()
	case len(drift) > 0 && built != "":
		return []string{fmt.Sprintf("theseus.toml has changed (%s), and %s has the change: reltool upgrade --apply", strings.Join(drift, ", "), built)}
	case len(drift) > 0:
		return []string{fmt.Sprintf("theseus.toml has changed (%s): reltool build", strings.Join(drift, ", "))}
	}
	return nil
}

// unknown says which children of supervisors no service is, of the release that serves: the next build may bring them. What runs is
// supervised by the tree of its release.
func (d *Daemon) unknown() (notes []string) {
	name, _ := d.engine.Current()
	f, err := d.file.newest()
	if err != nil || name == "" {
		return nil
	}
	services := release.Requires{}
	for _, r := range d.engine.Releases() {
		if r.Name == name {
			for service := range r.Services {
				services[service] = nil
			}
		}
	}
	for _, mistake := range f.supervision().Unknown(services) {
		var at *appup.ParseError
		if errors.As(f.inTree(mistake), &at) {
			notes = append(notes, fmt.Sprintf("%s; %s is supervised without it, and a build that does not bring it is refused", at.Short(), name))
		}
	}
	return notes
}

// meanwhile says by what the drop folder goes while theseus.toml has a mistake.
func (d *Daemon) meanwhile() string {
	if d.file.known() != nil {
		return "; until it is mended the drop folder takes nothing"
	}
	return "; until it is mended the drop folder goes by the last good one"
}
