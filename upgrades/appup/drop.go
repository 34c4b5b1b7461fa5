package appup

import (
	"fmt"
	"slices"

	"github.com/theseusd/theseus/sdk/describe"
)

// What a version can give up; each has a key of the manifest that names it.
const (
	aTable    = "table"
	aVerb     = "verb"
	aListener = "listener"
)

// drops is one of the lists of a manifest that name what a version gives up.
type drops struct {
	what, key string
	names     []string
}

func (m *Manifest) drops() []drops {
	return []drops{
		{aTable, "drop", m.Drop}, {aVerb, "drop_verbs", m.DropVerbs}, {aListener, "drop_listeners", m.DropListeners},
	}
}

// dropped is the list for one kind of thing.
func (m *Manifest) dropped(what string) drops {
	lists := m.drops()
	return lists[slices.IndexFunc(lists, func(d drops) bool { return d.what == what })]
}

// line is the line of the manifest that gives up name as well.
func (d drops) line(name string) string {
	return fmt.Sprintf("%s = %s", d.key, quoted(slices.Concat(d.names, []string{name})))
}

// where says which file a person has to edit.
func (m *Manifest) where() string {
	if m.src == nil || m.src.file == "" {
		return "the manifest of " + m.Version
	}
	return m.src.file
}

// clients refuses to take from clients what the newer manifest does not give up by name: a verb, a listener, the address
// of one. Upwards only: on the way down what the newer version brought goes with it.
func (c *compilation) clients() error {
	if c.down {
		return nil
	}
	for _, verb := range missing(verbs(c.older.Describe), verbs(c.newer.Describe)) {
		if err := c.drop(aVerb, verb); err != nil {
			return err
		}
	}
	for _, name := range sorted(c.older.Describe.Listeners) {
		if from, to, gone := c.moved(name); gone {
			if err := c.drop(aListener, name); err != nil {
				err.Moved = [2]string{from, to}
				return err
			}
		}
	}
	return nil
}

// moved says whether clients of the older version's listener do not find it any more, and from where to where it went if
// the newer one has it elsewhere.
func (c *compilation) moved(name string) (from, to string, gone bool) {
	if name == "control" {
		return "", "", false
	}
	if !slices.Contains(c.newer.Describe.Listeners, name) {
		return "", "", true
	}
	from, to = c.older.Manifest.address(name), c.newer.Manifest.address(name)
	return from, to, from != to && to != "" // one that the manifest does not open is for Check to refuse
}

// address is where a manifest has a listener, as a person reads it.
func (m *Manifest) address(name string) string {
	for _, l := range m.Listen {
		if l.Name == name && l.Network != "tcp" {
			return l.Network + " " + l.Address
		}
		if l.Name == name {
			return l.Address
		}
	}
	return ""
}

// drop refuses to lose what the newer manifest does not give up by name.
func (c *compilation) drop(what, name string) *DroppedError {
	m := c.newer.Manifest
	list := m.dropped(what)
	if c.givesUp(what, name) {
		return nil
	}
	if what == aTable {
		return c.refuse(list, name, "if its rows are to go")
	}
	return c.refuse(list, name, "if clients can do without it")
}

func (c *compilation) refuse(list drops, name, when string) *DroppedError {
	m := c.newer.Manifest
	return &DroppedError{
		Service: m.Name, What: list.what, Name: name, From: c.older.Manifest.Version, To: m.Version, Line: list.line(name),
		Hint: fmt.Sprintf("%s, write in %s, above its first [table]: %s", when, m.where(), list.line(name)),
	}
}

// gone lists what clients will miss.
func (c *compilation) gone(r *Relup) {
	r.VerbsGone = missing(verbs(c.from.Describe), verbs(c.to.Describe))
	r.ListenersGone = missing(c.from.Describe.Listeners, c.to.Describe.Listeners)
}

func verbs(d describe.Service) []string {
	names := make([]string, len(d.Verbs))
	for i, v := range d.Verbs {
		names[i] = v.Name
	}
	return names
}

// missing are the elements of before that are not in after, sorted.
func missing(before, after []string) []string {
	var gone []string
	for _, s := range before {
		if !slices.Contains(after, s) {
			gone = append(gone, s)
		}
	}
	slices.Sort(gone)
	return gone
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
