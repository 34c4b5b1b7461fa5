package appup

import (
	"bytes"
	"fmt"

	"github.com/pelletier/go-toml/v2"
)

// MaxSize is the size in bytes of the longest manifest.
const MaxSize = 64 << 10

// Parse reads a manifest, fills in what it leaves to the defaults and checks all that can be checked without the binary.
// file is the name that errors give. Every error is a *ParseError.
func Parse(file string, text []byte) (*Manifest, error) {
	src := &source{file: file, text: bytes.Clone(text), places: make(map[string]int)}
	if len(text) > MaxSize {
		return nil, &ParseError{File: file, What: fmt.Sprintf("a manifest has at most %d KiB", MaxSize>>10)}
	}
	w := walker{source: src, seen: make(map[string]int)}
	if err := w.walk(); err != nil {
		return nil, err
	}
	m := &Manifest{src: src}
	dec := toml.NewDecoder(bytes.NewReader(src.text)).DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		return nil, src.translate(err)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	m.fill()
	return m, nil
}

// fill puts the defaults where the manifest is silent.
func (m *Manifest) fill() {
	if m.Command == "" {
		m.Command = m.Name
	}
	m.Drain = Duration(m.Drain.or(DefaultDrain))
	m.Probation.Health = Duration(m.Probation.Health.or(DefaultHealth))
	m.Probation.fill()
	m.Restart.Period = Duration(m.Restart.Period.or(DefaultPeriod))
	if m.Restart.Intensity == 0 {
		m.Restart.Intensity = DefaultIntensity
	}
	for i := range m.Listen {
		if m.Listen[i].Network == "" {
			m.Listen[i].Network = "tcp"
		}
	}
	for i := range m.Up {
		m.Up[i].Probation = Duration(m.Up[i].Probation.or(DefaultProbation))
	}
	for i := range m.Down {
		m.Down[i].Probation = Duration(m.Down[i].Probation.or(DefaultProbation))
	}
}
