package daemon

import (
	"bytes"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/theseusd/theseus/upgrades/appup"
)

// value behind the path of a key means its value.
const value = "="

// places notes where each key of a good TOML file stands first, by its path, and where its value does.
func places(text []byte) map[string]int {
	found := map[string]int{}
	var p unstable.Parser
	p.Reset(text)
	var table string
	for p.NextExpression() {
		switch e := p.Expression(); e.Kind {
		case unstable.Table:
			table = note(found, "", e.Key())
		case unstable.KeyValue:
			noteValue(found, table, e)
		default: // there are no arrays of tables in theseus.toml
		}
	}
	return found
}

// note follows a key from a table on and returns where it leads.
func note(found map[string]int, table string, key unstable.Iterator) string {
	for key.Next() {
		part := key.Node()
		table = strings.TrimPrefix(table+"."+string(part.Data), ".")
		if _, known := found[table]; !known {
			found[table] = int(part.Raw.Offset)
		}
	}
	return table
}

func noteValue(found map[string]int, table string, e *unstable.Node) {
	path := note(found, table, e.Key())
	v := e.Value()
	if v.Raw.Length > 0 {
		found[path+value] = int(v.Raw.Offset)
	}
	if v.Kind == unstable.Array {
		for items := v.Children(); items.Next(); {
			note := path + "." + string(items.Node().Data) // as supervisor.backend.children.chat
			if _, known := found[note]; !known && items.Node().Raw.Length > 0 {
				found[note] = int(items.Node().Raw.Offset)
			}
		}
	}
	if v.Kind == unstable.InlineTable {
		children := v.Children()
		for children.Next() {
			noteValue(found, path, children.Node())
		}
	}
}

// at is an error that points at a key, or at the nearest table above it.
func (f *File) at(path, what, hint string) *appup.ParseError {
	e := &appup.ParseError{File: f.name, What: what, Hint: hint}
	for path != "" {
		if offset, ok := f.places[path]; ok {
			start := bytes.LastIndexByte(f.text[:offset], '\n') + 1
			line, _, _ := bytes.Cut(f.text[start:], []byte("\n"))
			e.Line, e.Column = bytes.Count(f.text[:start], []byte("\n"))+1, offset-start+1
			e.Source = strings.TrimSuffix(strings.ToValidUTF8(string(line), "?"), "\r")
			return e
		}
		if key, ok := strings.CutSuffix(path, value); ok {
			path = key
			continue
		}
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
	}
	return e
}
