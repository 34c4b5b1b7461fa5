package appup

import "time"

// What a manifest means where it is silent.
const (
	DefaultProbation = 10 * time.Second
	DefaultDrain     = 200 * time.Millisecond
	DefaultHealth    = time.Second
	DefaultIntensity = 3
	DefaultPeriod    = 5 * time.Second
)

// Manifest is one appup.toml: what a version of a service is called, where it listens, and from which versions to it
// and from it to which versions a running instance can go. [Parse] fills in every default.
type Manifest struct {
	Name      string   `toml:"name"`
	Version   string   `toml:"version"` // semver
	Command   string   `toml:"command"` // the word a person types; Name if empty
	Drain     Duration `toml:"drain"`   // for requests in hand at a switch; DefaultDrain if 0
	Drop      []string `toml:"drop"`    // tables that this version gives up
	DropVerbs []string `toml:"drop_verbs"`
	// DropListeners are listeners that clients of older versions no longer find: gone, or at another address.
	DropListeners []string `toml:"drop_listeners"`

	Listen    []Listen          `toml:"listen"`
	Up        []Up              `toml:"up"`
	Down      []Down            `toml:"down"`
	Probation Gates             `toml:"probation"`
	Budget    Budgets           `toml:"budget"`
	Requires  map[string]string `toml:"requires"` // service: semver range
	Restart   Restart           `toml:"restart"`

	src *source // where each key stands; nil if the manifest was not parsed from a file
}

// Listen is a listener, opened and held by the keel.
type Listen struct {
	Name    string `toml:"name"`
	Network string `toml:"network"` // tcp, tcp4, tcp6 or unix; tcp if empty
	Address string `toml:"address"`
}

// Up says how to come to this version from the versions in the range From.
type Up struct {
	From         string   `toml:"from"`
	Do           Do       `toml:"do"`
	Probation    Duration `toml:"probation"`    // DefaultProbation if 0
	Irreversible bool     `toml:"irreversible"` // past the switch no way back keeps the writes
}

// Down says how to go from this version back to the versions in the range To.
type Down struct {
	To           string   `toml:"to"`
	Do           Do       `toml:"do"`
	Probation    Duration `toml:"probation"`    // DefaultProbation if 0
	Irreversible bool     `toml:"irreversible"` // past the switch no way back keeps the writes
}

// Restart bounds how often a crashed service is started again: more than Intensity times within Period is a failure.
type Restart struct {
	Intensity int      `toml:"intensity" json:"intensity,omitempty"` // DefaultIntensity if 0
	Period    Duration `toml:"period"    json:"period,omitzero"`     // DefaultPeriod if 0
}
