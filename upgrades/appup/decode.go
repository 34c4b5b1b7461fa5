package appup

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Decode reads another TOML file as strictly as a manifest into a pointer to a struct: a key that the struct does not
// have, or a value that its UnmarshalText refuses, is a *ParseError that points at it.
func Decode(file string, text []byte, into any) error {
	src := &source{file: file, text: text}
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(into)
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		line, column := strict.Errors[0].Position()
		return src.position(line, column, fmt.Sprintf("unknown key %s", strings.Join(strict.Errors[0].Key(), ".")), "")
	}
	if err != nil {
		return src.translate(err)
	}
	return nil
}
