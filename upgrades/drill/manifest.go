package drill

import "regexp"

var (
	address   = regexp.MustCompile(`(?m)^(address\s*=\s*)"[^"]*"`)
	probation = regexp.MustCompile(`(?m)^(probation\s*=\s*)"[^"]*"`)
)

// Manifest is an appup.toml for a drill: its listeners take any free port, so that a drill disturbs nobody, and with
// hurry its probations take a second.
func Manifest(text []byte, hurry bool) []byte {
	text = address.ReplaceAll(text, []byte(`$1"127.0.0.1:0"`))
	if hurry {
		text = probation.ReplaceAll(text, []byte(`$1"1s"`))
	}
	return text
}
