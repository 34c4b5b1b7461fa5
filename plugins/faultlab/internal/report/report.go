// Package report draws what the lab has seen as one page of HTML that needs nothing else: no script, no font, no picture
// from elsewhere. It is readable in light and in dark, on a telephone and on a wall.
//
//	┌ title ── what was done, under which strategy, when
//	├ comparison ── of all strategies: recovery on one scale, who was restarted, who gave up
//	└ for each strategy ── its story, its numbers, and a timeline: one lane for each worker
//
// Places are in percent of the width, so lines and letters keep their size whatever the width of the page is.
package report

import (
	"bytes"
	_ "embed"
	"html/template"
	"time"

	"github.com/theseusd/theseus/plugins/faultlab/internal/lab"
)

// Title says what was done.
type Title struct {
	Number    int64
	Began     time.Time
	Version   string // of the lab
	Strategy  string
	Fault     string
	Level     string
	Workers   int
	Intensity int
	Period    float64 // seconds
	Seed      uint64
}

//go:embed page.html
var source string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"seconds": Seconds}).Parse(source))

// Page draws a run; the first trial is that of the strategy that was asked for.
func Page(t Title, trials []lab.Trial) ([]byte, error) {
	view := struct {
		Title
		Comparison comparison
		Charts     []chart
	}{Title: t, Comparison: compare(t, trials)}
	for _, trial := range trials {
		view.Charts = append(view.Charts, draw(t, trial))
	}
	var b bytes.Buffer
	err := page.Execute(&b, view)
	return b.Bytes(), err
}
