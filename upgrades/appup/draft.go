package appup

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Draft is what a version of a service still needs to follow an older one and to go back to it.
type Draft struct {
	Service  string    `json:"service"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Top      []Line    `json:"top,omitempty"`      // for above the manifest's first [table]
	Sections string    `json:"sections,omitempty"` // for its end
	Steps    []Missing `json:"steps,omitempty"`
	Left     []string  `json:"left,omitempty"` // what only the author can do

	manifest *Manifest // of To
}

// Line is a key of the manifest with its whole value; it takes the place of one that is there.
type Line struct {
	Key  string `json:"key"`
	Text string `json:"text"`
	Note string `json:"note"` // what it means
}

// Missing is a Step that is not there.
type Missing struct {
	Table  string `json:"table"`
	Reason string `json:"reason"`
	Advice string `json:"advice,omitempty"` // what to do besides
	Go     string `json:"go,omitempty"`
	Fill   bool   `json:"fill,omitempty"` // an author has to fill something in: the Step fails until then
}

// NewDraft compares two versions of a service. What the newer one's manifest says already is not drafted again. It is an
// error if older is not the older one.
func NewDraft(older, newer Version) (*Draft, error) {
	c, err := newCompilation(older, newer)
	if err != nil {
		return nil, err
	}
	m := newer.Manifest
	if c.down || c.same {
		return nil, fmt.Errorf("%s %s does not follow %s", m.Name, m.Version, older.Manifest.Version)
	}
	d := &Draft{Service: m.Name, From: older.Manifest.Version, To: m.Version, manifest: m}
	c.draftTop(d)
	c.draftListen(d)
	if err := c.draftWays(d); err != nil {
		return nil, err
	}
	c.draftSteps(d)
	return d, nil
}

// Empty is true if nothing is missing.
func (d *Draft) Empty() bool {
	return len(d.Top) == 0 && d.Sections == "" && len(d.Steps) == 0 && len(d.Left) == 0
}

// Manifest is the newer version's manifest with the draft in it; it parses.
func (d *Draft) Manifest() ([]byte, error) {
	src := d.manifest.src
	if src == nil {
		return nil, fmt.Errorf("the manifest of %s %s was not read from a file", d.Service, d.To)
	}
	text := src.text
	for _, l := range d.Top {
		text = put(text, l)
	}
	if d.Sections != "" {
		text = append(bytes.TrimRight(text, "\n"), "\n\n"+d.Sections...)
	}
	_, err := Parse(src.file, text)
	return text, err
}

// draftTop gives up by name what the newer version no longer has.
func (c *compilation) draftTop(d *Draft) {
	var tables []string
	for _, t := range c.older.Describe.Tables {
		if _, has := c.newer.Describe.Table(t.Name); !has {
			tables = append(tables, t.Name)
		}
	}
	var gone []string
	for _, name := range sorted(c.older.Describe.Listeners) {
		if _, _, moved := c.moved(name); moved {
			gone = append(gone, name)
		}
	}
	c.line(d, aTable, tables, "their rows go, and do not come back on the way down")
	c.line(d, aVerb, missing(verbs(c.older.Describe), verbs(c.newer.Describe)), "people can no longer type them")
	c.line(d, aListener, gone, "clients no longer find them there")
}

func (c *compilation) line(d *Draft, what string, names []string, note string) {
	list := c.newer.Manifest.dropped(what)
	names = missing(names, list.names)
	if len(names) == 0 {
		return
	}
	text := fmt.Sprintf("%s = %s", list.key, quoted(slices.Concat(list.names, names)))
	d.Top = append(d.Top, Line{Key: list.key, Text: text, Note: fmt.Sprintf("of %s %s: %s", c.older.Manifest.Version, strings.Join(names, ", "), note)})
}

// draftListen opens the listeners that the binary serves and the manifest does not know.
func (c *compilation) draftListen(d *Draft) {
	for _, name := range c.newer.Describe.Listeners {
		if name == "control" || c.newer.Manifest.listens(name) {
			continue
		}
		i := slices.IndexFunc(c.older.Manifest.Listen, func(l Listen) bool { return l.Name == name })
		if i >= 0 {
			l := c.older.Manifest.Listen[i]
			d.section(fmt.Sprintf("[[listen]]\nname    = %q\nnetwork = %q\naddress = %q\n", name, l.Network, l.Address))
			continue
		}
		d.section(fmt.Sprintf("[[listen]]\nname    = %q\naddress = \"127.0.0.1:0\" # fill in the port; with 0 the kernel chooses one\n", name))
		d.Left = append(d.Left, "choose the address of the listener "+name)
	}
}

// draftWays writes the sections for the way up and the way down, and checks those that are there.
func (c *compilation) draftWays(d *Draft) error {
	for _, down := range []bool{false, true} {
		i, err := c.known(down)
		switch {
		case err != nil:
			return err
		case i < 0:
			d.section(c.way(down))
		case c.newer.Manifest.sections(down)[i].Do == Load && c.differs():
			path := fmt.Sprintf("%s[%d].do", direction(down), i)
			d.Left = append(d.Left, c.newer.Manifest.src.at(path, "load changes no state, and the rows change", `write do = "update"`).Short())
		}
	}
	return nil
}

// known is the index of the section that holds the other version, -1 if none does.
func (c *compilation) known(down bool) (int, error) {
	for i, s := range c.newer.Manifest.sections(down) {
		if ok, err := c.newer.Manifest.holds(s.From, c.other); err != nil || (ok && !c.same) {
			return i, err
		}
	}
	return -1, nil
}

func (d *Draft) section(text string) {
	if d.Sections != "" {
		d.Sections += "\n"
	}
	d.Sections += text
}

// draftSteps writes the Steps of the tables that changed.
func (c *compilation) draftSteps(d *Draft) {
	for _, older := range c.older.Describe.Tables {
		newer, has := c.newer.Describe.Table(older.Name)
		if !has {
			continue
		}
		r := uncovered(older, newer)
		if r.reason == "" {
			continue
		}
		d.Steps = append(d.Steps, Missing{Table: older.Name, Reason: r.reason, Advice: r.advice, Go: r.code, Fill: r.fill})
	}
}
