package supervise

import (
	"testing"

	"github.com/theseusd/theseus/sdk/internal/suite"
)

// SUITE.md names only tests that there are, and gives each case one, or a reason.
func TestSuite(t *testing.T) { suite.Check(t) }
