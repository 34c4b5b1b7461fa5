package appup

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Gates are what a version must pass during its probation, as the manifest spells them; [Gates.Limits] reads them.
type Gates struct {
	Health    Duration  `toml:"health"`     // between two health checks; DefaultHealth if 0
	Crashes   int       `toml:"crashes"`    // that are made good by a restart; the next one ends the probation
	ErrorRate ErrorRate `toml:"error_rate"` // DefaultErrorRate if empty
	P99       P99       `toml:"p99"`        // DefaultP99 if empty
	Requests  int       `toml:"requests"`   // fewer of them in a minute say nothing; DefaultRequests if 0
}

// What the gates are where a manifest is silent.
const (
	DefaultErrorRate ErrorRate = "5%"
	DefaultP99       P99       = "off"
	DefaultRequests            = 100
)

// off switches a gate off.
const off = "off"

// p99Floor is what "3x" never means less than: below it the machine is measured, not the service.
const p99Floor = 50 * time.Millisecond

// Limits are the gates in numbers. The zero value lets everything pass but a crash.
type Limits struct {
	Crashes   int           `json:"crashes,omitempty"`
	Errors    bool          `json:"errors,omitempty"`     // ErrorRate counts
	ErrorRate float64       `json:"error_rate,omitempty"` // share of failed requests above that of the minute before
	P99Factor float64       `json:"p99_factor,omitempty"` // times that of the minute before; 0: not compared
	P99       time.Duration `json:"p99,omitempty"`        // what is not longer always passes; 0 with a factor: p99Floor
	Requests  uint64        `json:"requests,omitempty"`
}

// fill puts the defaults where the manifest is silent.
func (g *Gates) fill() {
	if g.ErrorRate == "" {
		g.ErrorRate = DefaultErrorRate
	}
	if g.P99 == "" {
		g.P99 = DefaultP99
	}
	if g.Requests == 0 {
		g.Requests = DefaultRequests
	}
}

// Limits reads the gates of a manifest that [Parse] has accepted; what is empty has its default.
func (g Gates) Limits() Limits {
	g.fill()
	l := Limits{Crashes: g.Crashes, Requests: uint64(g.Requests)}
	l.ErrorRate, l.Errors, _ = g.ErrorRate.read()
	l.P99Factor, l.P99, _ = g.P99.read()
	return l
}

// Floor is the shortest p99 that can fail.
func (l Limits) Floor() time.Duration {
	if l.P99 == 0 {
		return p99Floor
	}
	return l.P99
}

// String says what the gates allow, for the text of a plan.
func (l Limits) String() string {
	var list []string
	if l.Crashes > 0 {
		list = append(list, fmt.Sprintf("crashes %d", l.Crashes))
	}
	if l.Errors {
		list = append(list, fmt.Sprintf("failed requests +%s", percent(l.ErrorRate)))
	}
	if p99 := l.p99(); p99 != "" {
		list = append(list, "p99 "+p99)
	}
	return strings.Join(list, ", ")
}

// p99 says what the gate of the p99 allows: "3x", "250ms", or "3x, 250ms".
func (l Limits) p99() string {
	var list []string
	if l.P99Factor > 0 {
		list = append(list, strconv.FormatFloat(l.P99Factor, 'g', -1, 64)+"x")
	}
	if l.P99 > 0 {
		list = append(list, l.P99.String())
	}
	return strings.Join(list, ", ")
}

// percent writes a share as a manifest does.
func percent(share float64) string { return strconv.FormatFloat(share*100, 'g', 6, 64) + "%" }

// ErrorRate is by how much the share of failed requests may be above that of the minute before the switch: "1%", or "off".
type ErrorRate string

func (r ErrorRate) read() (share float64, on bool, err error) {
	if r == off {
		return 0, false, nil
	}
	number, isPercent := strings.CutSuffix(string(r), "%")
	v, err := parseNumber(number)
	switch {
	case !isPercent || err != nil:
		return 0, false, fmt.Errorf(`%q is no error rate; write it as "1%%", or "off"`, string(r))
	case v > 100:
		return 0, false, fmt.Errorf(`an error rate of %s can never be exceeded; write "off"`, string(r))
	}
	return v / 100, true, nil
}

// P99 is how long 99 of 100 requests may take: a multiple of the minute before the switch, "3x", which never means less
// than 50ms; a time, "250ms"; both, "3x, 250ms", and then it is too long only if it exceeds both; or "off". Without
// requests before the switch there is nothing to multiply, and a time alone counts.
type P99 string

func (p P99) read() (factor float64, longest time.Duration, err error) {
	if p == off {
		return 0, 0, nil
	}
	first, second, both := strings.Cut(string(p), ", ")
	if times, ok := strings.CutSuffix(first, "x"); ok {
		if factor, err = parseNumber(times); err != nil {
			return 0, 0, p.wrong()
		}
		if factor <= 1 {
			return 0, 0, fmt.Errorf("a p99 of %s is no worse than before; the factor is greater than 1", first)
		}
		if !both {
			return factor, 0, nil
		}
		first, both = second, false
	}
	longest, err = time.ParseDuration(first)
	switch {
	case err != nil || both:
		return 0, 0, p.wrong()
	case longest <= 0:
		return 0, 0, fmt.Errorf(`a p99 of %s is too short; write "off" for none`, first)
	}
	return factor, longest, nil
}

func (p P99) wrong() error {
	return fmt.Errorf(`%q is no p99; write it as "3x", "250ms", "3x, 250ms" or "off"`, string(p))
}

// parseNumber reads digits with at most one point: no sign, no exponent, no hexadecimals, no infinity.
func parseNumber(text string) (float64, error) {
	if text == "" || strings.Trim(text, "0123456789.") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(text, 64)
}

func (m *Manifest) checkProbation() *ParseError {
	g := m.Probation
	switch {
	case g.Crashes < 0:
		return m.src.at("probation.crashes", "the number of crashes is negative", "0 is none")
	case g.Requests < 0 || g.Requests == 0 && m.src.has("probation.requests"):
		return m.src.at("probation.requests", "no request says nothing", "the least number is 1; leave the key away for the default")
	}
	if _, _, err := g.ErrorRate.read(); err != nil && (g.ErrorRate != "" || m.src.has("probation.error_rate")) {
		return m.src.at("probation.error_rate", err.Error(), "")
	}
	if _, _, err := g.P99.read(); err != nil && (g.P99 != "" || m.src.has("probation.p99")) {
		return m.src.at("probation.p99", err.Error(), "")
	}
	return nil
}
