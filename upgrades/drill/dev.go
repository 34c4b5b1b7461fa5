package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/trust"
)

const (
	devGoal = 2 * time.Second
	devTime = 3 * time.Minute // for one build: the first compiles everything
)

// dev saves a source file several times while `reltool dev` watches it, and waits until the new build serves.
func dev(ctx context.Context, d *drill) error {
	in, l, err := d.bigOne(ctx)
	if err != nil {
		return err
	}
	line := Line{Name: "hot reload", Figures: map[string]float64{"rows": float64(d.Rows)}}
	line.Goal = fmt.Sprintf("from the save to the new version serving < %s, every row kept, clients see nothing", devGoal)
	w, err := startWorkshop(ctx, d, in)
	if err != nil {
		return err
	}
	client, err := startCalmProbe(ctx, in.http, "probe-dev", time.Millisecond)
	if err != nil {
		return errors.Join(err, w.end())
	}
	var took []time.Duration
	var last control.Event
	for n := range d.Reps {
		var one time.Duration
		if one, last, err = w.save(ctx, n); err != nil {
			break
		}
		took = append(took, one)
		_ = pass(ctx, time.Second) // as a person would
	}
	_, perr := client.stop()
	if err = errors.Join(err, w.end()); err != nil {
		return err
	}
	d.broken(&line, perr, in.serves(ctx, "visits", last.To))
	d.broken(&line, verify(ctx, in.http, l, shape2)...)
	slices.Sort(took)
	median, worst := took[len(took)/2], took[len(took)-1]
	line.Figures["median_ms"], line.Figures["worst_ms"] = ms(median), ms(worst)
	line.Missed = median > devGoal
	line.Text = fmt.Sprintf("%d saves at %d rows: %.2f s, worst %.2f s; the last %s", len(took), d.Rows, median.Seconds(),
		worst.Seconds(), last.Text)
	d.add(line)
	return nil
}

// workshop is a `reltool dev` that runs.
type workshop struct {
	cmd    *exec.Cmd
	file   string // that is saved
	events chan control.Event
	log    *tail
}

// startWorkshop returns once the first build serves.
func startWorkshop(ctx context.Context, d *drill, in *instance) (*workshop, error) {
	w := &workshop{file: filepath.Join(d.Source, "main.go"), events: make(chan control.Event, 16), log: new(tail)}
	if _, err := trust.Of(in.dir).Generate(); err != nil { // it signs with the instance's own key
		return nil, err
	}
	w.cmd = exec.Command(d.Reltool, "dev", "--json", "--dir", in.dir, d.Source)
	w.cmd.Stderr = w.log
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	go w.read(out)
	if _, err := w.swapped(ctx); err != nil {
		return nil, errors.Join(err, w.end())
	}
	return w, nil
}

func (w *workshop) read(out io.Reader) {
	defer close(w.events)
	for lines := json.NewDecoder(out); ; {
		var e control.Event
		if lines.Decode(&e) != nil {
			return
		}
		w.events <- e
	}
}

// swapped waits for the next build to serve.
func (w *workshop) swapped(ctx context.Context) (control.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, devTime)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return control.Event{}, fmt.Errorf("reltool dev swaps nothing: %w", context.Cause(ctx))
		case e, ok := <-w.events:
			switch {
			case !ok:
				return e, fmt.Errorf("reltool dev has ended: %s", w.log)
			case e.Error != nil:
				return e, fmt.Errorf("%w: %s", e.Error, e.Hint)
			case e.Kind == "swapped":
				return e, nil
			}
		}
	}
}

// save changes the file and returns how long it took until that served.
func (w *workshop) save(ctx context.Context, n int) (time.Duration, control.Event, error) {
	f, err := os.OpenFile(w.file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return 0, control.Event{}, err
	}
	_, err = fmt.Fprintf(f, "\nvar _ = %d\n", n)
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, control.Event{}, err
	}
	began := time.Now()
	e, err := w.swapped(ctx)
	return time.Since(began), e, err
}

// end interrupts it, as a person would.
func (w *workshop) end() error {
	_ = w.cmd.Process.Signal(syscall.SIGINT)
	for range w.events { // until it has closed its output
	}
	return w.cmd.Wait()
}
