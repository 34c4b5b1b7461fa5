package appup

import (
	"bytes"
	"slices"
)

// put writes a line above the first [table] of a manifest that parses, in the place of the value that its key has.
func put(text []byte, l Line) []byte {
	src := &source{text: text, places: make(map[string]int)}
	w := walker{source: src, seen: make(map[string]int)}
	_ = w.walk() // it parses
	if from, ok := src.places[l.Key]; ok {
		return slices.Concat(text[:from], []byte(l.Text), text[arrayEnd(text, from):])
	}
	at := src.above(w.tables)
	line := []byte("# " + l.Note + "\n" + l.Text + "\n")
	if at < len(text) {
		line = append(line, '\n')
	} else if len(text) > 0 && text[len(text)-1] != '\n' {
		line = append([]byte("\n"), line...)
	}
	return slices.Concat(text[:at], line, text[at:])
}

// above is where the line of the first header begins, or the comment right above it; the end of the text if there is none.
func (s *source) above(headers []int) int {
	if len(headers) == 0 {
		return len(s.text)
	}
	at := bytes.LastIndexByte(s.text[:headers[0]], '\n') + 1
	for at > 0 {
		before := bytes.LastIndexByte(s.text[:at-1], '\n') + 1
		if !bytes.HasPrefix(bytes.TrimSpace(s.text[before:at]), []byte("#")) {
			break
		}
		at = before
	}
	return at
}

// arrayEnd is behind the bracket that closes the array whose key begins at from. A bracket in a string or a comment is none.
func arrayEnd(text []byte, from int) int {
	var quote byte
	depth, comment := 0, false
	for i := from; i < len(text); i++ {
		c := text[i]
		switch {
		case comment:
			comment = c != '\n'
		case quote != 0:
			if c == '\\' && quote == '"' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#':
			comment = true
		case c == '[':
			depth++
		case c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(text)
}
