package journal

import (
	"fmt"
	"os"
)

// Read returns what is in the journal at path, whoever has it open: a look from outside. A record that is being written
// at this moment is not among them.
func Read(path string) ([]Record, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	records, _, err := scan(path, text)
	return records, err
}
