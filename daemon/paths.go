package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/trust"
)

// Paths of an instance.
type Paths struct {
	Dir      string // absolute, without symbolic links
	Config   string // theseus.toml; may be missing
	Kept     string // theseus.toml as it was last without a mistake
	Releases string // the drop folder
	Private  string // all below is ours alone
	Run      string // sockets, records, lock
	State    string // a state directory for each service
	Store    string
	Journal  string
	Audit    string // the audit log
	Incoming string // packages on their way in
	Trust    trust.Dir
	Daemons  string // binaries of daemons that have replaced another
}

// A unix socket's path has at most 107 bytes; names of services and commands, with .sock, get 32 of them.
const (
	maxSocket = 107
	nameRoom  = 32
)

// Prepare makes the directories of an instance. One that belongs to another user is a *trust.UnsafeError.
func Prepare(dir string) (Paths, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Paths{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Paths{}, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return Paths{}, err
	}
	p := pathsOf(dir)
	if room := maxSocket - nameRoom - 1; len(p.Run) > room {
		return p, fmt.Errorf("%s is too long by %d bytes: a unix socket's path may have %d; choose a shorter --dir",
			dir, len(p.Run)-room, maxSocket)
	}
	return p, p.prepare()
}

func pathsOf(dir string) Paths {
	private := filepath.Join(dir, control.Private)
	return Paths{
		Dir: dir, Config: filepath.Join(dir, "theseus.toml"), Kept: filepath.Join(private, "theseus.toml"), Releases: filepath.Join(dir, "releases"),
		Private: private, Run: control.RunDir(dir), State: filepath.Join(private, "state"),
		Store: filepath.Join(private, "store"), Journal: filepath.Join(private, "journal"),
		Audit: filepath.Join(private, "audit.jsonl"), Incoming: control.Incoming(dir),
		Trust:   trust.Of(dir),
		Daemons: filepath.Join(private, "daemon"),
	}
}

func (p Paths) prepare() error {
	if err := os.MkdirAll(p.Releases, 0o755); err != nil {
		return err
	}
	for _, dir := range []string{p.Private, p.Run, p.State, p.Store, p.Incoming, p.Trust.Path(), p.Daemons} {
		if err := private(dir); err != nil {
			return err
		}
	}
	return nil
}

// Check refuses what others own or can write to where it matters: the instance's own directory may be shared with
// nobody, what is dropped is executed once somebody has signed it, and theseus.toml says which of that by itself. The
// error is a *trust.UnsafeError with the command that mends it, or one about a key that cannot be read.
func (p Paths) Check() error {
	for _, dir := range []string{p.Private, p.Run, p.State, p.Store, p.Incoming} {
		if err := trust.CheckDir(dir); err != nil {
			return err
		}
	}
	for _, path := range []string{p.Releases, p.Config} { // links to them are the owner's own
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = trust.CheckInfo(path, info)
		}
		if err != nil {
			return err
		}
	}
	if err := p.checkDir(); err != nil {
		return err
	}
	return p.Trust.Check()
}

// checkDir refuses an instance whose parts everybody could exchange. In a sticky directory nobody can.
func (p Paths) checkDir() error {
	info, err := os.Stat(p.Dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o002 != 0 && info.Mode()&os.ModeSticky == 0 {
		return &trust.UnsafeError{Path: p.Dir, Reason: "can be written to by everybody", Hint: "chmod o-w " + p.Dir}
	}
	return nil
}

// private makes a directory of ours with mode 0700. One that others can write to stays as it is, for Check to refuse: what
// they may have put there does not go away with the mode. No link is followed.
func private(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		return &trust.UnsafeError{Path: dir, Reason: "is no directory", Hint: "move it away"}
	}
	if err != nil {
		return err
	}
	return errors.Join(tighten(dir, f), f.Close())
}

func tighten(dir string, f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Mode().Perm()&0o022 != 0 {
		return err
	}
	if err := trust.CheckInfo(dir, info); err != nil {
		return err
	}
	if err := f.Chmod(0o700); err != nil && !errors.Is(err, fs.ErrPermission) { // root's, and safe all the same
		return err
	}
	return nil
}
