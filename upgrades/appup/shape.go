package appup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Shapes are texts such as
//
//	{user:string,count:int64,seen:time,tags:[string],by:map[string]{n:int},next:int64?}
//
// A question mark is a pointer, ^1 a type within itself, [T] a list and [T]4 an array.

// field is one field of a struct in a shape.
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

// canonical is a shape with the fields of every struct in order: rows are maps, so theirs means nothing.
func canonical(shape string) string {
	open := strings.IndexByte(shape, '{')
	if open < 0 {
		return shape
	}
	end := open + closing(shape[open:])
	parts := split(shape[open+1 : end])
	for i, part := range parts {
		name, typ, _ := strings.Cut(part, ":")
		parts[i] = name + ":" + canonical(typ)
	}
	slices.Sort(parts)
	return shape[:open] + "{" + strings.Join(parts, ",") + "}" + canonical(shape[min(end+1, len(shape)):])
}

// closing is the index of the bracket that closes the one at the start of s, the end of s if none does.
func closing(s string) int {
	depth := 0
	for i, r := range s {
		switch r {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(s)
}

// goType writes a shape as a Go type; what it does not know it leaves as it is.
func goType(shape, indent string) string {
	if fields, ok := parseShape(shape); ok {
		return goStruct(fields, indent)
	}
	if elem, ok := strings.CutSuffix(shape, "?"); ok {
		return "*" + goType(elem, indent)
	}
	if strings.HasPrefix(shape, "[") {
		end := closing(shape)
		return "[" + shape[min(end+1, len(shape)):] + "]" + goType(shape[1:end], indent)
	}
	if rest, ok := strings.CutPrefix(shape, "map["); ok {
		end := closing("["+rest) - 1
		return "map[" + goType(rest[:end], indent) + "]" + goType(rest[min(end+1, len(rest)):], indent)
	}
	if length, ok := strings.CutPrefix(shape, "bytes"); ok {
		return "[" + length + "]byte"
	}
	switch {
	case shape == "" || strings.HasPrefix(shape, "^"):
		return "any"
	case shape == "time":
		return "time.Time"
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
	case strings.HasSuffix(shape, "?"), shape == "any", strings.HasPrefix(shape, "^"):
		return "nil"
	case shape == "string":
		return `""`
	case shape == "bool":
		return "false"
	case strings.HasPrefix(shape, "int"), strings.HasPrefix(shape, "uint"), strings.HasPrefix(shape, "float"):
		return shape + "(0)"
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
