// Package describe is what a service says of itself: its name and version, the tables it keeps, the verbs it
// answers and the listeners it serves. `BINARY --describe` prints a [Service] as JSON; packages carry that text, and
// the planner compares two of them to learn what an upgrade has to change.
package describe

import "slices"

// Service describes one version of a service.
type Service struct {
	Name      string   `json:"name"`
	Version   string   `json:"version"`  // semver
	Protocol  int      `json:"protocol"` // control protocol, see wire.Protocol
	OS        string   `json:"os"`
	Arch      string   `json:"arch"`
	Tables    []Table  `json:"tables,omitempty"`
	Verbs     []Verb   `json:"verbs,omitempty"`
	Listeners []string `json:"listeners,omitempty"` // names; addresses are the manifest's and theseus.toml's
	Web       []string `json:"web,omitempty"`       // those of them that answer a browser
	Processes []string `json:"processes,omitempty"` // behaviours of the processes that it keeps in memory
}

// Table describes one table of the state log.
type Table struct {
	Name    string `json:"name"`
	Schema  string `json:"schema"`
	Version int    `json:"version"`           // of the schema, from 1
	Shape   string `json:"shape"`             // canonical text of the row type: `{user:string,count:int64}`
	Durable bool   `json:"durable,omitempty"` // fsynced before a write is acknowledged
	Steps   []Step `json:"steps,omitempty"`   // from older versions, ascending
}

// Step says that this version can convert rows from the version From, up and down.
type Step struct {
	From  int    `json:"from"`
	Shape string `json:"shape"` // of the rows of version From, as far as the step knows it; "" if it does not
}

// Verb is a command that the running version answers.
type Verb struct {
	Name     string `json:"name"`
	Args     string `json:"args,omitempty"`
	Short    string `json:"short,omitempty"`
	Flags    []Flag `json:"flags,omitempty"`
	Examples string `json:"examples,omitempty"`
	Input    bool   `json:"input,omitempty"` // the word "-" stands for what the client reads on its standard input; so does no word if Args is "[-]"
}

// Reads tells whether the verb, called with these words, takes what the client reads on its standard input.
func (v Verb) Reads(words []string) bool {
	return v.Input && (slices.Contains(words, "-") || v.Args == "[-]" && len(words) == 0)
}

// Flag is an option of a verb.
type Flag struct {
	Name   string   `json:"name"`          // without dashes
	Arg    string   `json:"arg,omitempty"` // stands for the value; empty if it takes none
	Short  string   `json:"short,omitempty"`
	Values []string `json:"values,omitempty"` // those it takes; any if empty
	Writes bool     `json:"writes,omitempty"` // its value is a file that the client writes
}

// Flag returns the flag called name.
func (v Verb) Flag(name string) (Flag, bool) {
	for _, f := range v.Flags {
		if f.Name == name {
			return f, true
		}
	}
	return Flag{}, false
}

// Table returns the table called name.
func (s Service) Table(name string) (Table, bool) {
	for _, t := range s.Tables {
		if t.Name == name {
			return t, true
		}
	}
	return Table{}, false
}

// Shapes maps each table to the version of its schema.
func (s Service) Shapes() map[string]int32 {
	m := make(map[string]int32, len(s.Tables))
	for _, t := range s.Tables {
		m[t.Name] = int32(t.Version)
	}
	return m
}
