package appup

import "fmt"

// Do is how a running instance comes from one version to another. It prints as the manifest spells it.
type Do uint8

// What can be done. OTP's words are update, load_module and restart_application.
const (
	Update    Do = iota // with code_change: rows go through the Steps of the newer version
	Load                // code only: no schema has changed
	DoRestart           // the old version ends before the new one serves; connections are not kept
)

var doNames = [...]string{Update: "update", Load: "load", DoRestart: "restart"}

func (d Do) String() string {
	if int(d) < len(doNames) {
		return doNames[d]
	}
	return fmt.Sprintf("Do(%d)", uint8(d))
}

// MarshalText gives the manifest's spelling.
func (d Do) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText accepts the manifest's spelling and nothing else.
func (d *Do) UnmarshalText(text []byte) error {
	for i, name := range doNames {
		if name == string(text) {
			*d = Do(i)
			return nil
		}
	}
	return fmt.Errorf("do is %q, not update, load or restart", text)
}
