package release

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// RejectedDir is where refused packages are kept, inside the folder that they were dropped into.
const RejectedDir = "rejected"

// Reject moves the package at path to RejectedDir beside it, and writes why to a file of the same name with ".reason"
// appended. One that was refused before under the same name is replaced. The reason is there before the package is.
func Reject(path string, reason error) error {
	dir := filepath.Join(filepath.Dir(path), RejectedDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("reject %s: %w", path, err)
	}
	moved := filepath.Join(dir, filepath.Base(path))
	if err := writeReason(moved+".reason", reason); err != nil {
		return fmt.Errorf("reject %s: %w", path, err)
	}
	if err := os.Rename(path, moved); err != nil {
		return fmt.Errorf("reject %s: %w", path, err)
	}
	return nil
}

// Forgive removes what was refused before under the name of a package that is good: its reason would only puzzle.
func Forgive(path string) error {
	moved := filepath.Join(filepath.Dir(path), RejectedDir, filepath.Base(path))
	var errs []error
	for _, file := range []string{moved, moved + ".reason"} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func writeReason(path string, reason error) error {
	text := reason.Error() + "\n"
	var r *RejectError
	if errors.As(reason, &r) && r.Hint != "" {
		text += "hint: " + r.Hint + "\n"
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path))
	if err := os.WriteFile(tmp, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
