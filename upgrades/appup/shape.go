package appup

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// field is one field of a shape such as {user:string,count:int64}.
type field struct{ name, shape string }

// parseShape takes a shape of named fields apart. Any other shape is not ok.
func parseShape(shape string) (fields []field, ok bool) {
	if !strings.HasPrefix(shape, "{") || !strings.HasSuffix(shape, "}") {
		return nil, false
	}
	for _, part := range split(shape[1 : len(shape)-1]) {
		name, typ, found := strings.Cut(part, ":")
		if !found || name == "" || typ == "" {
			return nil, false
		}
		fields = append(fields, field{name: name, shape: typ})
	}
	return fields, true
}

// split cuts at commas that are in no bracket.
func split(s string) []string {
	var parts []string
	depth, start := 0, 0
	for i, r := range s {
		switch r {
		case '{', '[', '(':
			depth++
		case '}', ']', ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	if start < len(s) {
		parts = append(parts, s[start:])
	}
	return parts
}

// addedFields are the fields that newer has more than older, if all else is the same.
func addedFields(older, newer string) (added []field, ok bool) {
	before, ok1 := parseShape(older)
	after, ok2 := parseShape(newer)
	if !ok1 || !ok2 {
		return nil, false
	}
	left := make(map[string]string, len(before))
	for _, f := range before {
		left[f.name] = f.shape
	}
	for _, f := range after {
		shape, there := left[f.name]
		switch {
		case !there:
			added = append(added, f)
		case shape != f.shape:
			return nil, false
		}
		delete(left, f.name)
	}
	return added, len(left) == 0 && len(added) > 0
}

// goType writes a shape as a Go type; what it does not know it leaves as it is.
func goType(shape, indent string) string {
	if fields, ok := parseShape(shape); ok {
		return goStruct(fields, indent)
	}
	if elem, ok := strings.CutPrefix(shape, "[]"); ok {
		return "[]" + goType(elem, indent)
	}
	switch shape {
	case "":
		return "any"
	case "time":
		return "time.Time"
	case "bytes":
		return "[]byte"
	}
	return shape
}

func goStruct(fields []field, indent string) string {
	var b strings.Builder
	b.WriteString("struct {\n")
	for _, f := range fields {
		fmt.Fprintf(&b, "%s\t%s %s `json:%s`\n", indent, export(f.name), goType(f.shape, indent+"\t"), strconv.Quote(f.name))
	}
	return b.String() + indent + "}"
}

// zero is a Go expression for the zero value of a shape.
func zero(shape string) string {
	switch {
	case shape == "string":
		return `""`
	case shape == "bool":
		return "false"
	case strings.HasPrefix(shape, "int"), strings.HasPrefix(shape, "uint"), strings.HasPrefix(shape, "float"):
		return shape + "(0)"
	case strings.HasPrefix(shape, "*"):
		return "nil"
	}
	return goType(shape, "\t") + "{}"
}

// export makes a Go name of a key: last_seen becomes LastSeen.
func export(key string) string {
	words := strings.FieldsFunc(key, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	if len(words) == 0 || !unicode.IsLetter(rune(words[0][0])) {
		return "Row" + strings.Join(words, "")
	}
	return strings.Join(words, "")
}

// quoted writes a list as TOML.
func quoted(list []string) string {
	parts := make([]string, len(list))
	for i, s := range list {
		parts[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
