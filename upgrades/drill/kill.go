package drill

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

const backGoal = 3 * time.Second

// killService kills the service that writes and is written to.
func killService(ctx context.Context, d *drill) error {
	in, l, err := d.bigOne(ctx)
	if err != nil {
		return err
	}
	line := Line{Name: "kill -9 of the service", Figures: map[string]float64{}}
	line.Goal = fmt.Sprintf("every acknowledged write there, back in < %.0f s, no connect() refused", backGoal.Seconds())
	before, err := in.service(ctx, "visits")
	if err != nil {
		return err
	}
	writing := startLoad(ctx, in.http, l, d.Rate, true)
	if err := pass(ctx, time.Second); err != nil {
		return err
	}
	knocking := startKnocking(ctx, in.http)
	back, err := in.killServing(ctx, "visits", before.Version)
	if err != nil {
		return err
	}
	if err := pass(ctx, time.Second); err != nil {
		return err
	}
	knocks, refused := knocking.stop()
	written, _, _ := writing.stop() // its connections died with the service
	doubts := l.doubts()
	d.broken(&line, refused...)
	d.broken(&line, verify(ctx, in.http, l, shapeOf(before.Version))...)
	d.broken(&line, in.serves(ctx, "visits", before.Version), in.counts(ctx, len(l.acked)))
	line.Missed = back >= backGoal
	line.Figures["back_ms"], line.Figures["writes"] = ms(back), float64(written)
	line.Figures["connects"], line.Figures["refused"] = float64(knocks), float64(len(refused))
	line.Figures["in_flight"] = float64(doubts)
	line.Text = fmt.Sprintf("%d rows back in %.2f s, %d connects and %d refused, %d writes acknowledged, %d in flight",
		len(l.acked), back.Seconds(), knocks, len(refused), written, doubts)
	d.add(line)
	return nil
}

// firstAnswer is how long after a moment a request on a new connection was answered.
func firstAnswer(ctx context.Context, addr string, since time.Time) (time.Duration, error) {
	for ctx.Err() == nil && time.Since(since) < patience {
		c, err := dialHTTP(addr)
		if err != nil {
			return 0, err
		}
		_, err = c.do("GET", "/visits/"+user(0), nil)
		c.close()
		if err == nil {
			return time.Since(since), nil
		}
	}
	return 0, errors.Join(fmt.Errorf("no answer within %s", patience), context.Cause(ctx))
}

// knocking connects again and again and counts who is refused.
type knocking struct {
	cancel  context.CancelFunc
	wait    sync.WaitGroup
	knocks  int
	refused []error
}

func startKnocking(ctx context.Context, addr string) *knocking {
	ctx, cancel := context.WithCancel(ctx)
	k := &knocking{cancel: cancel}
	k.wait.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			k.knock(ctx, addr)
			<-tick.C
		}
	})
	return k
}

func (k *knocking) knock(ctx context.Context, addr string) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if ctx.Err() != nil && err != nil {
		return
	}
	k.knocks++
	if err != nil {
		k.refused = append(k.refused, err)
		return
	}
	_ = conn.Close()
}

func (k *knocking) stop() (knocks int, refused []error) {
	k.cancel()
	k.wait.Wait()
	return k.knocks, k.refused
}

// killDaemon kills the daemon under load, and then upgrades.
func killDaemon(ctx context.Context, d *drill) error {
	in, l, err := d.bigOne(ctx)
	if err != nil {
		return err
	}
	line := Line{Name: "kill -9 of the daemon, then upgrade", Figures: map[string]float64{}}
	line.Goal = "services never notice, the upgrade works"
	to, version, err := d.other(ctx, in)
	if err != nil {
		return err
	}
	client, err := startProbe(ctx, in.http, "probe-daemon")
	if err != nil {
		return err
	}
	writing := startLoad(ctx, in.http, l, d.Rate, false)
	from, back, kerr := in.killDaemon(ctx)
	longest := client.longest(from, from.Add(back))
	uerr := kerr
	if kerr == nil {
		uerr = in.upgrade(ctx, to).end(ctx)
	}
	_, perr := client.stop()
	written, _, errs := writing.stop()
	if uerr != nil {
		return uerr
	}
	d.broken(&line, append(errs, perr, in.serves(ctx, "visits", version))...)
	d.broken(&line, verify(ctx, in.http, l, shapeOf(version))...)
	line.Figures["daemon_back_ms"], line.Figures["longest_gap_ms"] = ms(back), ms(longest)
	line.Text = fmt.Sprintf("daemon back in %.2f s, longest gap meanwhile %.1f ms, upgraded to visits %s, %d writes kept",
		back.Seconds(), ms(longest), version, written)
	d.add(line)
	return nil
}

// killDaemon returns when it was killed, and how long it took until another one answered with the same services.
func (in *instance) killDaemon(ctx context.Context) (at time.Time, back time.Duration, err error) {
	before, err := in.Status(ctx)
	if err != nil {
		return at, 0, err
	}
	at = time.Now()
	if err := syscall.Kill(before.PID, syscall.SIGKILL); err != nil {
		return at, 0, err
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	after, err := in.until(limited, func(s control.Status) bool {
		return s.PID != before.PID && len(s.Services) == len(before.Services) && allRun(s)
	})
	if err != nil {
		return at, 0, fmt.Errorf("no new daemon: %w", err)
	}
	back = time.Since(at)
	if err := sameProcesses(before, after); err != nil {
		return at, back, err
	}
	return at, back, pass(ctx, time.Second)
}

func allRun(s control.Status) bool {
	for _, service := range s.Services {
		if service.State != "running" {
			return false
		}
	}
	return true
}

func sameProcesses(before, after control.Status) error {
	pids := map[string]int{}
	for _, s := range before.Services {
		pids[s.Name] = s.PID
	}
	for _, s := range after.Services {
		if pids[s.Name] != s.PID {
			return fmt.Errorf("%s is process %d now, was %d", s.Name, s.PID, pids[s.Name])
		}
	}
	return nil
}

// other is a release with the other version of visits than the one that serves.
func (d *drill) other(ctx context.Context, in *instance) (release, version string, err error) {
	s, err := in.service(ctx, "visits")
	if err != nil {
		return "", "", err
	}
	file, version := d.Packages.Visits2, "2.0.0"
	if s.Version == version {
		file, version = d.Packages.Visits1, "1.0.0"
	}
	release, err = in.release(ctx, file)
	return release, version, err
}
