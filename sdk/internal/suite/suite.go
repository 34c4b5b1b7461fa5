// Package suite checks the lists of cases of other suites that tests of ours mirror.
package suite

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	row  = regexp.MustCompile(`(?m)^\| (.*?) \| (.*?) \|$`)
	name = regexp.MustCompile(`\bTest\w+`)
)

// least is fewer cases than any list has.
const least = 40

// Check fails if the list SUITE.md of the package under test names a test that is not there, or leaves a case without a test
// and without a reason.
func Check(t *testing.T) {
	t.Helper()
	list, err := os.ReadFile("SUITE.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := ours(t)
	rows := row.FindAllStringSubmatch(string(list), -1)
	if len(rows) < least {
		t.Errorf("%d rows", len(rows))
	}
	for _, row := range rows {
		if row[2] == "" {
			t.Errorf("%s has neither", row[1])
		}
		for _, name := range name.FindAllString(row[2], -1) {
			if !strings.Contains(tests, "func "+name+"(") {
				t.Errorf("%s: there is no %s", row[1], name)
			}
		}
	}
}

// ours is the text of the tests of the package.
func ours(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
