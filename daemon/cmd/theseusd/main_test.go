package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestADirectoryThatIsNotThereIsNotMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "typo")
	o := &options{dir: dir, format: "text", level: "info"}
	err := o.keel(t.Context())
	if code := o.fail(err); code != badConfig || !strings.Contains(err.Error(), "reltool init "+dir) {
		t.Errorf("it ends with %d: %v", code, err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory was made: %v", err)
	}
}
