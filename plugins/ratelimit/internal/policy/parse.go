package policy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
)

// ParseError says where in a file something is wrong.
type ParseError struct {
	File string
	Line int // from 1; 0 if it belongs to no line
	What string
}

func (e *ParseError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.What
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.What)
}

// Parse reads a file of policies. file is its name in errors; every error is a *ParseError.
func Parse(file string, text []byte) ([]Policy, error) {
	if len(text) > MaxSize {
		return nil, &ParseError{File: file, What: fmt.Sprintf("policies have at most %d KiB", MaxSize>>10)}
	}
	var all struct {
		Policy []Policy `toml:"policy"`
	}
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&all); err != nil {
		return nil, translate(file, err)
	}
	if len(all.Policy) > MaxPolicies {
		return nil, &ParseError{File: file, What: fmt.Sprintf("more than %d policies", MaxPolicies)}
	}
	return all.Policy, check(file, text, all.Policy)
}

// check looks at every policy, and for two of one name.
func check(file string, text []byte, all []Policy) error {
	first := map[string]int{}
	for i, p := range all {
		err := p.Check()
		if j, twice := first[p.Name]; twice && err == nil {
			err = &limit.FieldError{Field: "name", Reason: fmt.Sprintf("%q is there twice, the first is number %d", p.Name, j+1)}
		}
		first[p.Name] = i
		if err != nil {
			return pointed(file, text, i, err)
		}
	}
	return nil
}

// pointed finds the line of the field that is wrong in the i-th policy, or of the policy if the field is not written.
func pointed(file string, text []byte, i int, err error) error {
	field, what := "", err.Error()
	var wrong *limit.FieldError
	if errors.As(err, &wrong) {
		field = wrong.Field
	}
	return &ParseError{File: file, Line: lineOf(text, i, field), What: what}
}

// lineOf goes through a text that has been decoded already.
func lineOf(text []byte, policy int, field string) (line int) {
	var p unstable.Parser
	p.Reset(text)
	for at := -1; p.NextExpression(); {
		e := p.Expression()
		keys := e.Key()
		if !keys.Next() {
			continue
		}
		here := p.Shape(p.Range(keys.Node().Data)).Start.Line
		switch {
		case e.Kind == unstable.ArrayTable:
			if at++; at == policy {
				line = here
			}
		case at == policy && string(keys.Node().Data) == field:
			return here
		}
	}
	return line
}

// translate makes a *ParseError of what the TOML library says.
func translate(file string, err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		line, _ := strict.Errors[0].Position()
		return &ParseError{file, line, "unknown key " + strings.Join(strict.Errors[0].Key(), ".")}
	}
	what := strings.TrimPrefix(err.Error(), "toml: ")
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		return &ParseError{file, line, what}
	}
	return &ParseError{File: file, What: what}
}
