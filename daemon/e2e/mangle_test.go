package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// mangle makes a broken package of a good one.
func mangle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: mangle truncate|nobinary|arch IN OUT")
	}
	text, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	switch args[0] {
	case "truncate":
		text = text[:len(text)/2]
	case "nobinary":
		text = repack(ts, text, func(name string, body []byte) []byte {
			if name == "service" {
				return nil
			}
			return body
		})
	case "arch":
		text = repack(ts, text, otherArch)
	default:
		ts.Fatalf("mangle %s?", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), text, 0o644))
}

// otherArch makes a package say that it is for another machine.
func otherArch(name string, body []byte) []byte {
	if name != "package.json" {
		return body
	}
	return []byte(strings.NewReplacer(`"amd64"`, `"mips64"`, `"arm64"`, `"mips64"`).Replace(string(body)))
}

// repack changes the files of a package; one that becomes nil is left out.
func repack(ts *testscript.TestScript, text []byte, change func(name string, body []byte) []byte) []byte {
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	zr, err := gzip.NewReader(bytes.NewReader(text))
	ts.Check(err)
	for tr := tar.NewReader(zr); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		ts.Check(err)
		body, err := io.ReadAll(tr)
		ts.Check(err)
		if body = change(h.Name, body); body == nil {
			continue
		}
		h.Size = int64(len(body))
		ts.Check(tw.WriteHeader(h))
		_, err = tw.Write(body)
		ts.Check(err)
	}
	ts.Check(tw.Close())
	ts.Check(zw.Close())
	return out.Bytes()
}
