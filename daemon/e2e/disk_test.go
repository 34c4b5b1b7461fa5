package e2e

import (
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// canMount is true if this account may mount a file system.
func canMount() (bool, error) {
	dir, err := os.MkdirTemp("", "th")
	if err != nil {
		return false, err
	}
	defer os.Remove(dir) //nolint:errcheck // a temporary folder
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		return false, nil //nolint:nilerr // that is the answer
	}
	return true, unix.Unmount(dir, unix.MNT_DETACH)
}

// smallDisk puts the instance on a file system of its own, before start.
func smallDisk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: smalldisk SIZE, as 96m")
	}
	i := instanceOf(ts)
	ts.Check(unix.Mount("none", i.dir, "tmpfs", 0, "size="+args[0]))
	ts.Defer(func() { _ = unix.Unmount(i.dir, unix.MNT_DETACH) })
	ts.Check(i.configure())
}

// fillDisk leaves no byte on the instance's file system; removing $DIR/fill makes room again.
func fillDisk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: filldisk")
	}
	f, err := os.Create(filepath.Join(instanceOf(ts).dir, "fill"))
	ts.Check(err)
	defer f.Close() //nolint:errcheck // it holds nothing of value
	for page := make([]byte, 4096); ; {
		if _, err := f.Write(page); err != nil {
			return
		}
	}
}
