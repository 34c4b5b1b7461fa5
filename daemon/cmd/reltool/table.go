package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// table prints rows in columns. Cells are not coloured, so that widths are right; a whole row may be.
type table struct {
	rows [][]string
	inks []ink
}

func (t *table) add(i ink, cells ...string) {
	t.rows = append(t.rows, cells)
	t.inks = append(t.inks, i)
}

// print writes the table; the last column is never padded.
func (t *table) print(s screen) {
	widths := t.widths()
	for n, row := range t.rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		fmt.Fprintln(s, s.paint(t.inks[n], strings.TrimRight(b.String(), " ")))
	}
}

func (t *table) widths() []int {
	var w []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(w) {
				w = append(w, 0)
			}
			w[i] = max(w[i], utf8.RuneCountInString(cell))
		}
	}
	return w
}

// seconds writes a span as a manifest does, with as many digits as say something: 320µs, 4.2ms, 1.8s, 3m20s.
func seconds(s float64) string {
	d, unit := time.Duration(s*float64(time.Second)), time.Second
	switch {
	case d < time.Millisecond:
		unit = time.Microsecond
	case d < 100*time.Millisecond:
		unit = 100 * time.Microsecond
	case d < time.Second:
		unit = time.Millisecond
	case d < time.Minute:
		unit = 100 * time.Millisecond
	}
	return d.Round(unit).String()
}

// bytes writes a size: 512 B, 92.0 MiB.
func bytes(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, u := float64(n)/1024, 0
	for ; f >= 1024 && u < len(units)-1; u++ {
		f /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", f, units[u])
}

// count writes a number in groups of three: 1,000,000.
func count(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// several counts things: "1 row", "2,000 rows"; words are one of them and more.
func several(n uint64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + more
}
