package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// start measures a cold start, from the command to the first answers, and the memory of each process at rest.
func start(ctx context.Context, d *drill) error {
	line := Line{Name: "cold start, to the first answers", Goal: "< 1 s", Figures: map[string]float64{}}
	in, err := d.fresh(ctx, "start") // takes the packages in
	if err == nil {
		err = in.stop()
	}
	if err != nil {
		return err
	}
	began := time.Now()
	if in, err = d.fresh(ctx, "start"); err == nil {
		err = in.answers()
	}
	if err != nil {
		return err
	}
	took := time.Since(began)
	line.Figures["start_ms"], line.Missed = ms(took), took >= time.Second
	text, err := in.memory(ctx, line.Figures)
	line.Text = fmt.Sprintf("%.0f ms; RSS %s", ms(took), text)
	d.add(line)
	return errors.Join(err, in.stop())
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// answers makes one request of each service.
func (in *instance) answers() error {
	h, err := dialHTTP(in.http)
	if err != nil {
		return err
	}
	defer h.close()
	if _, err := hit(h, "first"); err != nil {
		return err
	}
	r, err := dialRESP(in.resp)
	if err != nil {
		return err
	}
	defer r.close()
	_, err = r.incr("first")
	return err
}

// memory tells what each process occupies.
func (in *instance) memory(ctx context.Context, figures map[string]float64) (string, error) {
	s, err := in.Status(ctx)
	if err != nil {
		return "", err
	}
	type process struct {
		name string
		pid  int
	}
	list := []process{{"keel", s.Keel}, {"daemon", s.PID}}
	for _, service := range s.Services {
		list = append(list, process{service.Name, service.PID})
	}
	var text []string
	for _, p := range list {
		m, err := memoryOf(p.pid)
		if err != nil {
			return "", err
		}
		figures[p.name+"_anonymous_bytes"], figures[p.name+"_file_bytes"] = float64(m.anonymous), float64(m.files)
		text = append(text, p.name+" "+m.String())
	}
	return strings.Join(text, ", "), nil
}
