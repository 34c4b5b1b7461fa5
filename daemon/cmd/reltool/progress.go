package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// redrawEvery is how often the bar of a probation moves.
const redrawEvery = 200 * time.Millisecond

// progress shows an upgrade while it runs: on a terminal one line that is redrawn with a bar, then each step that is
// done as a line; elsewhere only those lines.
type progress struct {
	out screen

	mu    sync.Mutex
	drawn bool      // the last line is to be overwritten
	last  time.Time // of the step before
	quit  func()    // ends the bar of a probation; nil if there is none
}

// show prints one event.
func (p *progress) show(e control.Event) {
	if e.Last {
		return
	}
	if e.Seq == 0 {
		p.redraw(e)
		return
	}
	p.finish()
	fmt.Fprintln(p.out, stepLine(p.out, e, p.last))
	p.last = e.Time
	if e.Kind == "probation" && p.out.terminal {
		p.countDown(e)
	}
}

// redraw overwrites the line of the step under way.
func (p *progress) redraw(e control.Event) {
	if !p.out.terminal {
		return
	}
	line := fmt.Sprintf("  %-14s %s", e.Kind, join("  ", e.Service, bar(e), e.Text))
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, "\r\x1b[K%s", clip(line, p.out.width-1))
	p.drawn = true
}

// finish ends a probation's bar and clears a line that was to be overwritten.
func (p *progress) finish() {
	if p.quit != nil {
		p.quit()
		p.quit = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
}

// countDown moves a bar until finish. The event says how long the probation is; if it does not, there is no bar.
func (p *progress) countDown(e control.Event) {
	words := strings.Fields(e.Text)
	if len(words) == 0 {
		return
	}
	total, err := time.ParseDuration(words[len(words)-1])
	if err != nil || total <= 0 {
		return
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	p.quit = func() { close(stop); <-ended }
	go func() {
		defer close(ended)
		p.tick(time.Now(), total, stop)
	}()
}

func (p *progress) tick(began time.Time, total time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		past := min(time.Since(began), total).Round(time.Second)
		p.redraw(control.Event{
			Kind: "watching", Done: uint64(past / time.Second), Total: uint64(max(total/time.Second, 1)), Text: "s",
		})
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// bar draws how much of a step is done; nothing if that is unknown.
func bar(e control.Event) string {
	const width = 24
	if e.Total == 0 {
		return ""
	}
	done := min(e.Done, e.Total)
	full := int(done * width / e.Total)
	return fmt.Sprintf("[%s%s] %3d%%  %s/%s", strings.Repeat("█", full), strings.Repeat("·", width-full),
		done*100/e.Total, count(done), count(e.Total))
}

// clip cuts a line to the width of the screen, in runes.
func clip(line string, width int) string {
	r := []rune(line)
	if len(r) <= width || width < 1 {
		return line
	}
	return string(r[:width])
}
