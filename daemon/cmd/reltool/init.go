package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/trust"
)

func (t *tool) initCommand() *cobra.Command {
	var fresh bool
	c := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Make an instance directory, and the key that reltool build signs with",
		Long: `Makes an instance in DIR, by default the one that every other command takes, else the current folder: its drop folder,
and a key of its own. The secret half, .theseus/keys/local.key, is what reltool build signs with; the public half in
.theseus/trust is what the instance believes. What is there already stays; repeated, it does nothing. It takes from
others the right to write where theseusd does not want it. With --new a new key is made; the one before stays trusted
until reltool trust revoke.`,
		Example: "  reltool init\n  reltool init /var/lib/theseus\n  reltool init --new",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := t.initDir(args)
			if err != nil {
				return err
			}
			return t.init(dir, fresh)
		},
	}
	c.Flags().BoolVar(&fresh, "new", false, "make a new key, to sign with from now on")
	return c
}

// initDir is DIR, or the instance that is named or found, or else the current folder.
func (t *tool) initDir(args []string) (string, error) {
	switch {
	case len(args) > 0 && t.dir != "":
		return "", &usageError{text: "give the directory once: as DIR or with --dir"}
	case len(args) > 0:
		return filepath.Abs(args[0])
	}
	dir, err := control.Find(t.dir)
	if err != nil || dir != control.SystemDir || t.dir != "" || os.Getenv(control.EnvDir) != "" {
		return dir, err
	}
	return os.Getwd()
}

// initiated is what init has found and done.
type initiated struct {
	Dir  string    `json:"dir"`
	Key  trust.Key `json:"key"`
	Did  []string  `json:"did"`
	keys trust.Dir
}

func (t *tool) init(dir string, fresh bool) error {
	in := &initiated{Dir: dir, Did: []string{}, keys: trust.Of(dir)}
	if err := errors.Join(in.folders(), in.key(fresh)); err != nil {
		return err
	}
	if t.json {
		return t.out.json(in)
	}
	fmt.Fprintf(t.out, "instance %s\n", dir)
	for _, did := range in.Did {
		fmt.Fprintln(t.out, "  "+did)
	}
	if len(in.Did) == 0 {
		fmt.Fprintln(t.out, "  nothing to do")
	}
	fmt.Fprintf(t.out, "reltool build signs with key %s\n", in.Key.ID)
	return nil
}

// folders makes the folders that have to be there before theseusd, and closes to others what it would refuse.
func (in *initiated) folders() error {
	for _, f := range []struct {
		path string
		mode os.FileMode
	}{{in.Dir, 0o755}, {filepath.Join(in.Dir, "releases"), 0o755}, {filepath.Join(in.Dir, control.Private), 0o700}} {
		if _, err := os.Stat(f.path); errors.Is(err, fs.ErrNotExist) {
			if err := os.MkdirAll(f.path, f.mode); err != nil {
				return err
			}
			in.did("made %s", f.path)
		}
		if f.path == in.Dir {
			continue
		}
		if err := in.close(f.path); err != nil {
			return err
		}
	}
	return in.close(filepath.Join(in.Dir, "theseus.toml"))
}

// close takes the right to write from others, and gives what root has made to the user of the instance. No link is
// followed.
func (in *initiated) close(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was opened to be changed, not to be written to
	if err := ownAs(f, in.Dir); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil || info.Mode().Perm()&0o022 == 0 {
		return err
	}
	in.did("others may no longer write to %s", path)
	return f.Chmod(info.Mode().Perm() &^ 0o022)
}

// key finds or makes the local key, and sees that it is trusted.
func (in *initiated) key(fresh bool) error {
	secret, err := in.keys.Local()
	if fresh || errors.Is(err, fs.ErrNotExist) {
		if in.Key, err = in.keys.Generate(); err == nil {
			in.did("made the key %s", in.Key.ID)
		}
		return err
	}
	if err != nil {
		return err
	}
	in.Key = secret.Public()
	keys, err := in.keys.Keys()
	if err != nil {
		return err
	}
	for _, k := range keys {
		switch {
		case k.Public == in.Key.Public && k.Revoked:
			return revokedLocal(k.ID)
		case k.Public == in.Key.Public:
			in.Key = k
			return nil
		}
	}
	if in.Key, err = in.keys.Add(in.Key); err != nil {
		return &hinted{err, "to sign with another key: reltool init --new"}
	}
	in.did("the key %s is trusted again", in.Key.ID)
	return nil
}

func revokedLocal(id trust.ID) error {
	return &hinted{fmt.Errorf("the key of this machine, %s, was revoked", id), "make another one: reltool init --new"}
}

func (in *initiated) did(format string, args ...any) {
	in.Did = append(in.Did, fmt.Sprintf(format, args...))
}

// ownAs gives a file or directory that root has made to the owner of another, so that the account of the daemon can use
// it. It works on the open file: a link that somebody puts there in between is not followed.
func ownAs(f *os.File, other string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(other)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == 0 {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}
