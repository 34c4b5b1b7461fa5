package appup

import (
	"fmt"
	"reflect"

	"github.com/pelletier/go-toml/v2/unstable"
)

// walker reads the manifest's text before the decoder does. It notes where each value stands, and refuses what the decoder
// would let pass or could only say in Go's words: keys in another case, integers for durations, [up] for [[up]].
type walker struct {
	*source
	seen   map[string]int // tables of each array so far
	tables []int          // where each [table] and [[table]] has its name
}

// spot is a place in the manifest that keys lead to.
type spot struct {
	path string
	typ  reflect.Type
}

func (w *walker) walk() error {
	var p unstable.Parser
	p.Reset(w.text)
	root := spot{typ: reflect.TypeFor[Manifest]()}
	table := root
	for p.NextExpression() {
		var err error
		switch e := p.Expression(); e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table, err = w.header(root, e)
		case unstable.KeyValue:
			err = w.keyValue(table, e)
		}
		if err != nil {
			return err
		}
	}
	return nil // a syntax error is the decoder's to tell
}

// header follows a [table] or [[table]].
func (w *walker) header(root spot, e *unstable.Node) (spot, error) {
	to, key, err := w.follow(root, e.Key())
	if err != nil {
		return to, err
	}
	offset := int(key.Raw.Offset)
	isArray := e.Kind == unstable.ArrayTable
	switch wantArray := isTables(to.typ); {
	case wantArray && !isArray:
		return to, w.offset(offset, to.path+" can be there several times", fmt.Sprintf("write [[%s]]", to.path))
	case !wantArray && !isTable(to.typ):
		return to, w.offset(offset, wrongType(to, "a table"), "")
	case !wantArray && isArray:
		return to, w.offset(offset, to.path+" is there once", fmt.Sprintf("write [%s]", to.path))
	case wantArray:
		to = w.element(to)
	}
	w.places[to.path] = offset
	w.tables = append(w.tables, offset)
	return to, nil
}

// element is the next table of an array.
func (w *walker) element(array spot) spot {
	i := w.seen[array.path]
	w.seen[array.path]++
	return spot{path: fmt.Sprintf("%s[%d]", array.path, i), typ: array.typ.Elem()}
}

func (w *walker) keyValue(table spot, e *unstable.Node) error {
	to, key, err := w.follow(table, e.Key())
	if err != nil {
		return err
	}
	return w.value(to, e.Value(), int(key.Raw.Offset))
}

// follow goes from a table along the parts of a key, and returns where they lead and the last of them.
func (w *walker) follow(from spot, parts unstable.Iterator) (to spot, last *unstable.Node, err error) {
	to = from
	for parts.Next() {
		last = parts.Node()
		if isTables(to.typ) && w.seen[to.path] > 0 {
			to = spot{path: fmt.Sprintf("%s[%d]", to.path, w.seen[to.path]-1), typ: to.typ.Elem()}
		}
		if !isTable(to.typ) {
			return to, last, w.offset(int(last.Raw.Offset), wrongType(to, "a table"), "")
		}
		if to, err = w.key(to, last); err != nil {
			return to, last, err
		}
	}
	return to, last, nil
}

// key goes one step down.
func (w *walker) key(from spot, part *unstable.Node) (spot, error) {
	name := string(part.Data)
	to := spot{path: join(from.path, name)}
	if from.typ.Kind() == reflect.Map {
		to.typ = from.typ.Elem()
		return to, nil
	}
	typ, ok := keys(from.typ)[name]
	if !ok {
		return to, w.offset(int(part.Raw.Offset), fmt.Sprintf("unknown key %q%s", name, in(from.path)), nearest(name, from.typ))
	}
	to.typ = typ
	return to, nil
}

// value checks the type of a value and notes where it stands.
func (w *walker) value(to spot, v *unstable.Node, otherwise int) error {
	at := start(v, otherwise)
	w.places[to.path] = at
	want, got := kindOf(to.typ), v.Kind
	if got != want {
		return w.offset(at, wrongType(to, article(got)), example(to.typ))
	}
	children := v.Children()
	switch want {
	case unstable.InlineTable:
		for children.Next() {
			if err := w.keyValue(to, children.Node()); err != nil {
				return err
			}
		}
	case unstable.Array:
		for children.Next() {
			if err := w.value(w.element(to), children.Node(), at); err != nil {
				return err
			}
		}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}
