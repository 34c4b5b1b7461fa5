package appup

import (
	"fmt"
	"slices"

	"github.com/theseusd/theseus/sdk/describe"
)

// way writes the section that is missing in one direction: the way to or from the other version and its patches.
func (c *compilation) way(down bool) string {
	do := Load
	if c.differs() {
		do = Update
	}
	word := "from"
	if down {
		word = "to"
	}
	return fmt.Sprintf("[[%s]]\n%-9s = %q\ndo        = %q\nprobation = \"10s\"\n", direction(down), word, c.patches(), do)
}

// patches is the range of the other version and its patches.
func (c *compilation) patches() string {
	return fmt.Sprintf("~%d.%d", c.other.Major(), c.other.Minor())
}

// differs says whether any row has to change its shape, come or go.
func (c *compilation) differs() bool {
	for _, t := range slices.Concat(c.older.Describe.Tables, c.newer.Describe.Tables) {
		if c.change(t.Name).Kind != Same {
			return true
		}
	}
	return slices.ContainsFunc(c.newer.Describe.Tables, func(t describe.Table) bool {
		older, had := c.older.Describe.Table(t.Name)
		return had && canonical(older.Shape) != canonical(t.Shape)
	})
}

// wayHint is what to write in the newer version's manifest, and where: the section that is missing in the direction of
// travel, and the one of the other direction if that is missing too.
func (c *compilation) wayHint() string {
	if c.same {
		return "raise its version, in the manifest and in the code"
	}
	text := c.way(c.down)
	if i, err := c.known(!c.down); err == nil && i < 0 {
		text += "\n" + c.way(!c.down)
	}
	return fmt.Sprintf("write at the end of %s:\n\n%s", c.newer.Manifest.where(), text)
}
