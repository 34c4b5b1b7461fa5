package main

import (
	"slices"
	"strings"
)

// isStruct is true for the shape of a struct: {name:type,...}.
func isStruct(shape string) bool {
	return strings.HasPrefix(shape, "{") && strings.HasSuffix(shape, "}")
}

// fields splits the shape of a struct at its own commas, not at those of its inner structs.
func fields(shape string) []string {
	var list []string
	depth, start := 0, 1
	for i, c := range shape {
		switch {
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',' && depth == 1:
			list = append(list, shape[start:i])
			start = i + 1
		}
	}
	if last := shape[start : len(shape)-1]; last != "" {
		list = append(list, last)
	}
	return list
}

func fieldName(field string) string {
	name, _, _ := strings.Cut(field, ":")
	return strings.TrimSpace(name)
}

func contains(list []string, field string) bool {
	return slices.ContainsFunc(list, func(f string) bool { return strings.TrimSpace(f) == strings.TrimSpace(field) })
}
