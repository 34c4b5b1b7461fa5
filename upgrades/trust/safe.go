package trust

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// UnsafeError is a file or directory that somebody else owns or can write to, or read where it is secret.
type UnsafeError struct {
	Path, Reason string
	Hint         string // the command that mends it
}

func (e *UnsafeError) Error() string { return e.Path + " " + e.Reason }

// The rights that others must not have.
const (
	writable = fs.FileMode(0o022)
	anything = fs.FileMode(0o077) // of what is secret
)

// CheckDir refuses a directory that others can write to or own, and what is none. A link is none.
func CheckDir(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &UnsafeError{Path: path, Reason: "is no directory", Hint: "move it away"}
	}
	return CheckInfo(path, info)
}

// CheckInfo refuses what others than root and this user own or can write to.
func CheckInfo(path string, info fs.FileInfo) error { return check(path, info, writable, -1) }

// check refuses what somebody else owns or has forbidden rights on. Root may own what others use; what belongs to owner
// may be used by root.
func check(path string, info fs.FileInfo, forbidden fs.FileMode, owner int) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		uid, us := int(st.Uid), os.Geteuid()
		if uid != 0 && uid != us && (us != 0 || uid != owner) {
			return &UnsafeError{
				Path: path, Reason: fmt.Sprintf("belongs to user %d, and we are user %d", uid, us),
				Hint: fmt.Sprintf("if it is yours: chown %d %s", us, path),
			}
		}
	}
	mode := info.Mode().Perm()
	switch {
	case mode&forbidden == 0:
		return nil
	case forbidden == anything:
		return &UnsafeError{
			Path: path, Reason: fmt.Sprintf("can be read by others: its mode is %04o", mode), Hint: "chmod 600 " + path,
		}
	}
	return &UnsafeError{
		Path: path, Reason: fmt.Sprintf("can be written to by others: its mode is %04o", mode), Hint: "chmod go-w " + path,
	}
}
