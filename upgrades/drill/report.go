package drill

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// Report is what a drill saw.
type Report struct {
	Started time.Time `json:"started"`
	Took    float64   `json:"seconds"`
	Machine string    `json:"machine"`
	Lines   []Line    `json:"lines"`
	Pauses  []Pause   `json:"pauses,omitempty"`
}

// Line is one promise and what came of it.
type Line struct {
	Name   string   `json:"name"`   // what was done
	Text   string   `json:"text"`   // the figures, for people
	Goal   string   `json:"goal"`   // what was hoped for; may be empty
	Missed bool     `json:"missed"` // the goal, which is about time
	Broken []string `json:"broken,omitempty"`
	// Figures has the figures by name: _ms are milliseconds, _s seconds, _bytes bytes, others are counts.
	Figures map[string]float64 `json:"figures"`
}

// Pause is what a closed-loop client saw at one size, in milliseconds: its longest gap while the versions switched, in
// the whole time from the beginning of the upgrade to the end of the rollback, and in equally long time with neither.
// Each is the median of the repetitions; Worst is the longest switch of all. The daemon's own figures are from the old
// version's last request to the new one's first.
type Pause struct {
	What     string  `json:"what,omitempty"` // "processes", and nothing for rows
	Rows     int     `json:"rows"`
	Reps     int     `json:"reps"`
	Rate     float64 `json:"writes_per_second"` // reached beside it
	Upgrade  float64 `json:"upgrade_ms"`
	Rollback float64 `json:"rollback_ms"`
	OwnUp    float64 `json:"daemon_upgrade_ms"`
	OwnDown  float64 `json:"daemon_rollback_ms"`
	Worst    float64 `json:"worst_ms"`
	Whole    float64 `json:"whole_ms"`
	Quiet    float64 `json:"quiet_ms"`
	Seconds  float64 `json:"upgrade_seconds"` // from the command to the switch
}

func newReport() *Report {
	host := fmt.Sprintf("%d processors, %s, %s", runtime.NumCPU(), kernel(), runtime.Version())
	return &Report{Started: time.Now(), Machine: host}
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return "Linux " + strings.TrimSpace(string(text))
}

// Broken lists the invariants that did not hold.
func (r *Report) Broken() (all []string) {
	for _, l := range r.Lines {
		for _, b := range l.Broken {
			all = append(all, l.Name+": "+b)
		}
	}
	return all
}

func (d *drill) add(l Line) { d.report.Lines = append(d.report.Lines, l) }

// broken adds errors to those invariants that did not hold, and says so at once.
func (d *drill) broken(l *Line, errs ...error) {
	for _, err := range errs {
		if err != nil {
			l.Broken = append(l.Broken, err.Error())
			d.Say("BROKEN " + l.Name + ": " + err.Error())
		}
	}
}

func (l Line) verdict() string {
	switch {
	case len(l.Broken) > 0:
		return "BROKEN"
	case l.Missed:
		return "slow"
	}
	return "ok"
}

// WriteText prints the report for a terminal.
func (r *Report) WriteText(w io.Writer) {
	for _, l := range r.Lines {
		fmt.Fprintf(w, "%-6s  %s\n        %s\n", l.verdict(), l.Name, l.Text)
		if l.Goal != "" {
			fmt.Fprintf(w, "        goal: %s\n", l.Goal)
		}
		for _, b := range l.Broken {
			fmt.Fprintf(w, "        ! %s\n", b)
		}
	}
	if len(r.Pauses) > 0 {
		fmt.Fprintf(w, "\nthe longest gap a client saw, in ms (median of the repetitions)\n")
		fmt.Fprintf(w, "%10s %5s %9s %9s %9s %9s %9s %9s %15s %9s\n",
			"size", "reps", "writes/s", "upgrade", "rollback", "worst", "whole", "quiet", "the daemon says", "ready in")
		for _, p := range r.Pauses {
			own := fmt.Sprintf("%.2f / %.2f", p.OwnUp, p.OwnDown)
			fmt.Fprintf(w, "%10d %5d %9.0f %9.2f %9.2f %9.2f %9.2f %9.2f %15s %8.2fs  %s\n",
				p.Rows, p.Reps, p.Rate, p.Upgrade, p.Rollback, p.Worst, p.Whole, p.Quiet, own, p.Seconds, p.what())
		}
	}
	fmt.Fprintf(w, "\n%s; %.0f s\n", r.Machine, r.Took)
}

// WriteJSON prints the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteMarkdown prints the report as BENCHMARKS.md has it.
func (r *Report) WriteMarkdown(w io.Writer) {
	fmt.Fprintf(w, "%s, %s\n\n", r.Started.Format(time.DateOnly), r.Machine)
	fmt.Fprintf(w, "| what | seen | goal | |\n|---|---|---|---|\n")
	for _, l := range r.Lines {
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", l.Name, l.Text, l.Goal, l.verdict())
	}
	if len(r.Pauses) == 0 {
		return
	}
	fmt.Fprintf(w, "\nLongest gap between two answers, ms, medians:\n\n"+
		"| size | reps | writes/s beside it | upgrade | rollback | worst of both | upgrade to rollback | no upgrade "+
		"| upgrade and rollback as the daemon measures | ready to switch after |\n"+
		"|---|---|---|---|---|---|---|---|---|---|\n")
	for _, p := range r.Pauses {
		fmt.Fprintf(w, "| %d %s | %d | %.0f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f, %.2f | %.2f s |\n",
			p.Rows, p.what(), p.Reps, p.Rate, p.Upgrade, p.Rollback, p.Worst, p.Whole, p.Quiet, p.OwnUp, p.OwnDown, p.Seconds)
	}
}

func (p Pause) what() string {
	if p.What == "" {
		return "rows"
	}
	return p.What
}
