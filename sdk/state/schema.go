package state

import (
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/theseusd/theseus/sdk/describe"
)

// Schema says what the rows of a table are, in which version, and how rows of older versions become such rows.
//
// The steps stand in the newest program and lead from the oldest version that may still lie in a log to Version, one
// version each, without a gap.
type Schema[V any] struct {
	Name    string
	Version int // 0 = 1
	Steps   []AnyStep
	Check   func(key string, v V) error // refuses rows that must not be; nil takes all
}

func (s Schema[V]) version() int { return max(s.Version, 1) }

// steps checks the schema and returns its steps in order.
func (s Schema[V]) steps() (steps, error) {
	chain := steps{version: s.version(), list: slices.Clone(s.Steps)}
	if s.Version < 0 || s.Version >= math.MaxUint16 {
		return chain, fmt.Errorf("version %d is out of range", s.Version)
	}
	if chain.oldest() < 1 {
		return chain, fmt.Errorf("%d steps are too many for version %d", len(s.Steps), chain.version)
	}
	after := reflect.TypeFor[V]()
	for v := chain.version - 1; v >= chain.oldest(); v-- {
		before, err := fits(chain.at(v), v, after)
		if err != nil {
			return chain, fmt.Errorf("step from version %d: %w", v, err)
		}
		if chain.list[v-chain.oldest()], err = chain.at(v).ready(); err != nil {
			return chain, fmt.Errorf("step from version %d: %w", v, err)
		}
		after = before
	}
	return chain, nil
}

// fits checks that a step starts from a version and ends in a type, and returns the type it starts from.
func fits(s AnyStep, version int, after reflect.Type) (before reflect.Type, err error) {
	if s.from() != version {
		return nil, fmt.Errorf("it says From %d; steps stand in order, without a gap, up to the schema's version", s.from())
	}
	before, end := s.types()
	if end != nil && after != nil && end != after {
		return nil, fmt.Errorf("it makes a %s where a %s is wanted", end, after)
	}
	return before, nil
}

// describe returns the steps with the shapes they start from.
func (s steps) describe(own shape) []describe.Step {
	list := make([]describe.Step, len(s.list))
	for v := s.version - 1; v >= s.oldest(); v-- {
		own = s.at(v).shape(own)
		list[v-s.oldest()] = describe.Step{From: v, Shape: own.String()}
	}
	return list
}
