package otp

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// SUITE.md names only tests that there are, and gives each case one, or a reason.
func TestSuite(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	list, err := os.ReadFile("SUITE.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (.*?) \| (.*?) \|$`).FindAllStringSubmatch(string(list), -1)
	if len(rows) < 40 {
		t.Errorf("%d rows", len(rows))
	}
	for _, row := range rows {
		if row[2] == "" {
			t.Errorf("%s has neither", row[1])
		}
		for _, name := range regexp.MustCompile(`\bTest\w+`).FindAllString(row[2], -1) {
			if !strings.Contains(tests.String(), "func "+name+"(") {
				t.Errorf("%s: there is no %s", row[1], name)
			}
		}
	}
}
