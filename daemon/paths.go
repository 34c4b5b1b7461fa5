package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/theseusd/theseus/sdk/control"
)

// Paths of an instance.
type Paths struct {
	Dir      string // absolute, without symbolic links
	Config   string // theseus.toml; may be missing
	Releases string // the drop folder
	Private  string // all below is ours alone
	Run      string // sockets, records, lock
	State    string // a state directory for each service
	Store    string
	Journal  string
	Audit    string // the audit log
	Incoming string // packages on their way in
}

// A unix socket's path has at most 107 bytes; names of services and commands, with .sock, get 32 of them.
const (
	maxSocket = 107
	nameRoom  = 32
)

// Prepare makes the directories of an instance and checks that nobody else can write where it matters.
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
		Dir: dir, Config: filepath.Join(dir, "theseus.toml"), Releases: filepath.Join(dir, "releases"),
		Private: private, Run: control.RunDir(dir), State: filepath.Join(private, "state"),
		Store: filepath.Join(private, "store"), Journal: filepath.Join(private, "journal"),
		Audit: filepath.Join(private, "audit.jsonl"), Incoming: control.Incoming(dir),
	}
}

func (p Paths) prepare() error {
	if err := os.MkdirAll(p.Releases, 0o755); err != nil {
		return err
	}
	if err := refuseOpen(p.Releases); err != nil {
		return err
	}
	for _, dir := range []string{p.Private, p.Run, p.State, p.Store, p.Incoming} {
		if err := private(dir); err != nil {
			return err
		}
	}
	return nil
}

// refuseOpen refuses a drop folder that everybody can drop into: what lies there is executed.
func refuseOpen(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("%s is writable for everybody, and what lies there is executed; chmod o-w %[1]s", dir)
	}
	return nil
}

// private makes a directory of ours with mode 0700, whatever it had.
func private(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no directory", dir)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, and we are %d: start theseusd as the same user as before",
			dir, st.Uid, os.Geteuid())
	}
	return os.Chmod(dir, 0o700)
}
