package appup

import (
	"bytes"
	"errors"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// source is the text of a manifest and where in it each value stands.
type source struct {
	file   string
	text   []byte
	places map[string]int // path of a key, as in up[0].from, to the offset of its value
}

// at makes an error that points at the value of the key at path.
func (s *source) at(path, what, hint string) *ParseError {
	if s == nil {
		return &ParseError{What: what, Hint: hint}
	}
	for {
		if offset, ok := s.places[path]; ok {
			return s.offset(offset, what, hint)
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return &ParseError{File: s.file, What: what, Hint: hint}
		}
		path = path[:cut] // a key that is not there: point at its table
	}
}

// has says whether the key at path is written down.
func (s *source) has(path string) bool {
	if s == nil {
		return false
	}
	_, ok := s.places[path]
	return ok
}

// offset makes an error that points at a byte of the text.
func (s *source) offset(offset int, what, hint string) *ParseError {
	offset = min(max(offset, 0), len(s.text))
	start := bytes.LastIndexByte(s.text[:offset], '\n') + 1
	return s.position(bytes.Count(s.text[:start], []byte("\n"))+1, offset-start+1, what, hint)
}

// position makes an error that points at a line and a column, both from 1.
func (s *source) position(line, column int, what, hint string) *ParseError {
	var text string
	if lines := strings.Split(string(s.text), "\n"); line <= len(lines) {
		text = strings.ToValidUTF8(strings.TrimSuffix(lines[line-1], "\r"), "?")
	}
	return &ParseError{File: s.file, Line: line, Column: column, What: what, Hint: hint, Source: text}
}

// translate makes a *ParseError of what the TOML library says.
func (s *source) translate(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		err = &strict.Errors[0]
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, column := bad.Position()
		return s.position(line, column, strings.TrimPrefix(bad.Error(), "toml: "), "")
	}
	return &ParseError{File: s.file, What: strings.TrimPrefix(err.Error(), "toml: ")}
}

// start is the offset of a node that is in the text itself.
func start(n *unstable.Node, otherwise int) int {
	if n.Raw.Length == 0 {
		return otherwise
	}
	return int(n.Raw.Offset)
}
