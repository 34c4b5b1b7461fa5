package drill

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	httpClients = 64
	respClients = 50
)

// connections upgrades both services up and down, again and again, under connections that are never idle.
func connections(ctx context.Context, d *drill) (err error) {
	in, err := d.fresh(ctx, "connections")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.stop()) }()
	line := Line{Goal: "0 failed, 0 dropped, every socket the same", Figures: map[string]float64{}}
	line.Name = fmt.Sprintf("%d upgrades, %d HTTP + %d RESP clients", d.Upgrades, httpClients, respClients)
	cycle, err := d.cycle(ctx, in)
	if err != nil {
		return err
	}
	err = d.keeping(ctx, in, &line, func() error {
		for i := range d.Upgrades {
			if err := in.upgrade(ctx, cycle[i%len(cycle)]).end(ctx); err != nil {
				return fmt.Errorf("upgrade %d to %s: %w", i+1, cycle[i%len(cycle)], err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.add(line)
	return nil
}

// keeping does something under connections that are never idle, and looks whether they are the same afterwards.
func (d *drill) keeping(ctx context.Context, in *instance, line *Line, do func() error) error {
	k, err := openKeepers(ctx, in)
	if err != nil {
		return err
	}
	defer k.stop()
	before, err := in.sockets()
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	if err := pass(ctx, settled); err != nil { // each client has been served by the last version
		return err
	}
	after, err := in.sockets()
	if err != nil {
		return err
	}
	k.stop()
	d.judge(line, k, same(k.ports, before, after))
	return nil
}

// cycle builds releases and returns the way through them that ends where it began: visits up, cache up, cache down,
// visits down.
func (d *drill) cycle(ctx context.Context, in *instance) ([]string, error) {
	s, err := in.Status(ctx)
	if err != nil {
		return nil, err
	}
	first := s.Release
	second, err := in.release(ctx, d.Packages.Visits2)
	if err != nil {
		return nil, err
	}
	if err := in.upgrade(ctx, second).end(ctx); err != nil { // a release is built upon the one that serves
		return nil, err
	}
	third, err := in.release(ctx, d.Packages.Cache2)
	return []string{third, second, first, second}, err
}

func openKeepers(ctx context.Context, in *instance) (*keepers, error) {
	ctx, cancel := context.WithCancel(ctx)
	k := &keepers{cancel: cancel}
	err := errors.Join(
		k.keep(ctx, httpClients, in.http, "http", httpKeeper),
		k.keep(ctx, respClients, in.resp, "resp", respKeeper))
	if err != nil {
		k.stop()
		return nil, err
	}
	return k, pass(ctx, settled)
}

// sockets are the server's ends of all connections.
func (in *instance) sockets() (map[int]string, error) {
	all, err := serverSockets(in.http)
	if err != nil {
		return nil, err
	}
	cache, err := serverSockets(in.resp)
	for port, inode := range cache {
		all[port] = inode
	}
	return all, err
}

func (d *drill) judge(line *Line, k *keepers, same int) {
	d.broken(line, k.errs...)
	if same != len(k.ports) {
		d.broken(line, fmt.Errorf("%d of %d connections are another socket than before", len(k.ports)-same, len(k.ports)))
	}
	line.Figures["requests"], line.Figures["failed"] = float64(k.served), float64(len(k.errs))
	line.Figures["same_sockets"], line.Figures["worst_ms"] = float64(same), ms(k.worst)
	line.Text = fmt.Sprintf("%d requests, %d failed, %d dropped, %d of %d the same socket, longest wait %.1f ms",
		k.served, len(k.errs), len(k.ports)-same, same, len(k.ports), float64(k.worst)/float64(time.Millisecond))
}
