package report

import (
	"fmt"
	"math"
	"strconv"
)

// Seconds is a duration in seconds for people: three digits and a unit, and a dash for none.
func Seconds(s float64) string {
	switch {
	case s <= 0:
		return "-"
	case s < 1e-6:
		return digits(s*1e9) + "ns"
	case s < 1e-3:
		return digits(s*1e6) + "µs"
	case s < 1:
		return digits(s*1e3) + "ms"
	default:
		return digits(s) + "s"
	}
}

// digits rounds to three of them; large numbers keep all before the point.
func digits(n float64) string {
	places := max(2-int(math.Floor(math.Log10(n))), 0)
	text := strconv.FormatFloat(n, 'f', places, 64)
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		return strconv.FormatFloat(f, 'f', -1, 64) // without the zeros at the end
	}
	return text
}

// percent is a place on an axis.
func percent(share float64) string { return fmt.Sprintf("%.3f", 100*min(max(share, 0), 1)) }

// tick is a place on an axis with its label.
type tick struct {
	At     string // percent
	Label  string
	Anchor string // of the label
	Minor  bool   // left out where there is little room
}

// anchor keeps the first and the last label within the chart.
func anchor(share float64) string {
	switch {
	case share < 0.02:
		return "start"
	case share > 0.98:
		return "end"
	default:
		return "middle"
	}
}
