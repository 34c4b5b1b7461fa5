package appup

import (
	"bytes"
	"fmt"
	"strings"
)

// Way is how to come from one other version and how to go back to it.
type Way struct {
	Other string // the version
	Do    Do
}

// Restamp returns the text of a manifest with another version, and with ways from and to further versions for which it
// has none of its own; of two that fit, the manifest's own comes first. All else stays, comments too.
func Restamp(file string, text []byte, version string, ways []Way) ([]byte, error) {
	m, err := Parse(file, text)
	if err != nil {
		return nil, err
	}
	from, to := span(m.src.text, m.src.places["version"])
	var b bytes.Buffer
	b.Write(m.src.text[:from])
	fmt.Fprintf(&b, "%q", version)
	b.Write(m.src.text[to:])
	for _, w := range ways {
		fmt.Fprintf(&b, "\n\n[[up]]\nfrom = %[1]q\ndo = %[2]q\n\n[[down]]\nto = %[1]q\ndo = %[2]q\n", "= "+w.Other, w.Do)
	}
	if _, err := Parse(file, b.Bytes()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// span is where the TOML string at an offset begins and ends. No version has a quote in it.
func span(text []byte, at int) (from, to int) {
	for _, quote := range []string{`"""`, "'''", `"`, "'"} {
		rest, found := strings.CutPrefix(string(text[at:]), quote)
		if !found {
			continue
		}
		if end := strings.Index(rest, quote); end >= 0 {
			return at, at + len(quote) + end + len(quote)
		}
	}
	return at, at
}
