package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/theseusd/theseus/upgrades/appup"
)

// Settings are what an operator decides about one service, as canonical JSON. They are part of a release beside the
// package, as OTP's sys.config is, and go back with it. "" is of a release from before there were any: what theseus.toml
// said when the daemon started.
type Settings string

// NoSettings leaves everything to the manifest.
const NoSettings Settings = "{}"

// Decisions are Settings taken apart.
type Decisions struct {
	Listen  map[string]string `json:"listen,omitempty"`  // name of a listener: its address instead of the manifest's
	Config  json.RawMessage   `json:"config,omitempty"`  // for the service itself: an object
	Restart *appup.Restart    `json:"restart,omitempty"` // instead of the manifest's, as far as it is set
}

// Settings writes decisions down; what means the same is the same text.
func (d Decisions) Settings() (Settings, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("settings: %w", err)
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return "", fmt.Errorf("settings: %w", err)
	}
	text, err = json.Marshal(v) // sorts the keys, those of the configuration too
	return Settings(text), err
}

// Decisions takes settings apart.
func (s Settings) Decisions() (d Decisions, err error) {
	if s == "" {
		return d, nil
	}
	if err := json.Unmarshal([]byte(s), &d); err != nil {
		return d, fmt.Errorf("settings %q: %w", string(s), err)
	}
	return d, nil
}

// Listeners are where a package listens with these decisions, in the manifest's order.
func (d Decisions) Listeners(m *appup.Manifest) []appup.Listen {
	if m == nil {
		return nil
	}
	list := slices.Clone(m.Listen)
	for i, l := range list {
		if address, ok := d.Listen[l.Name]; ok {
			list[i].Address = address
		}
		if l.Network == "" {
			list[i].Network = "tcp"
		}
	}
	return list
}

// Limits bound the restarts of a package with these decisions.
func (d Decisions) Limits(m *appup.Manifest) appup.Restart {
	var r appup.Restart
	if m != nil {
		r = m.Restart
	}
	if d.Restart != nil && d.Restart.Intensity > 0 {
		r.Intensity = d.Restart.Intensity
	}
	if d.Restart != nil && d.Restart.Period > 0 {
		r.Period = d.Restart.Period
	}
	if r.Intensity == 0 {
		r.Intensity = appup.DefaultIntensity
	}
	if r.Period == 0 {
		r.Period = appup.Duration(appup.DefaultPeriod)
	}
	return r
}
