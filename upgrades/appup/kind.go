package appup

import "fmt"

// Kind is what an upgrade does to a table.
type Kind uint8

// The kinds of change, seen in the direction of travel.
const (
	Same    Kind = iota // same schema, same shape
	Migrate             // every row goes through the Steps
	Added               // only the version that comes has it
	Dropped             // only the version that goes has it
)

var kindNames = [...]string{Same: "same", Migrate: "migrate", Added: "added", Dropped: "dropped"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// MarshalText gives the word that String gives.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText accepts what MarshalText gives and nothing else.
func (k *Kind) UnmarshalText(text []byte) error {
	for i, name := range kindNames {
		if name == string(text) {
			*k = Kind(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no kind of change", text)
}
