package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/theseusd/theseus/daemon/keel"
	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/release"
)

// controlListener is the name of a service's own unix socket.
const controlListener = "control"

const maxSocket = 107 // bytes of a unix socket's path

// reserved is the daemon's own socket, control.sock.
const reserved = "control"

// addresses of the listeners of a version: the manifest's, unless its settings say otherwise, and its own socket.
func (h *Host) addresses(p release.Package) []keel.Address {
	list := []keel.Address{{
		Owner: p.Name, Name: controlListener, Network: "unix", Address: filepath.Join(h.o.Run, p.Name+".sock"),
	}}
	for _, l := range h.decisions(p).Listeners(p.Manifest) {
		list = append(list, keel.Address{Owner: p.Name, Name: l.Name, Network: l.Network, Address: l.Address})
	}
	return list
}

// Listen opens the listeners of a version before it starts.
func (h *Host) Listen(ctx context.Context, p release.Package) error {
	s := h.service(p.Name)
	s.ports.Lock()
	defer s.ports.Unlock()
	list, err := h.listen(ctx, p)
	closeAll(list)
	return err
}

// listen gets duplicates of the listeners; the caller closes them in any case.
func (h *Host) listen(ctx context.Context, p release.Package) (list []passed, err error) {
	if p.Name == reserved || command(p) == reserved {
		return nil, errors.New("no service and no command can be called control: that is the daemon's socket")
	}
	for _, a := range h.addresses(p) {
		if a.Network == "unix" && len(a.Address) > maxSocket {
			return list, fmt.Errorf("listener %q: %s is longer than the %d bytes that a unix socket may have", a.Name, a.Address, maxSocket)
		}
		l, err := h.o.Listeners.Listen(ctx, a)
		if err != nil {
			return list, &upgrades.ListenError{Name: a.Name, Address: a.Address, Err: err}
		}
		list = append(list, passed{bound: bound{a, l.Addr}, Listener: l})
	}
	return list, nil
}

// elsewhere gets duplicates of the listeners that another version of the service has at other addresses, under the names
// that this one has too: in a probation both are answered, whichever version serves. The caller closes them.
func (h *Host) elsewhere(ctx context.Context, p release.Package) (list []passed) {
	own := h.addresses(p)
	named := func(a keel.Address) bool {
		return slices.ContainsFunc(own, func(o keel.Address) bool { return o.Name == a.Name })
	}
	for _, a := range h.service(p.Name).others() {
		if !named(a) || slices.ContainsFunc(own, func(o keel.Address) bool { return o.Network == a.Network && o.Address == a.Address }) {
			continue
		}
		l, err := h.o.Listeners.Listen(ctx, a)
		if err != nil {
			h.log.Warn("the address of another version is not answered", "listener", a.Name, "address", a.Address, "error", err)
			continue
		}
		list, own = append(list, passed{bound: bound{a, l.Addr}, Listener: l, also: true}), append(own, a)
	}
	return list
}

// others are the addresses of all processes of the service, and of the version that was given.
func (s *service) others() (list []keel.Address) {
	for _, in := range s.alive() {
		for _, b := range in.record.Listeners {
			list = append(list, b.Address)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serving != nil {
		list = append(list, s.host.addresses(s.serving.Package())...)
	}
	return list
}

func closeAll(list []passed) {
	for _, l := range list {
		l.Close()
	}
}

// tidy has the listeners closed that nobody needs any more. While the service is taken nothing is closed: what the
// upgrade under way will need is not known here.
func (s *service) tidy() {
	s.ports.Lock()
	defer s.ports.Unlock()
	h := s.host
	var named []keel.Address
	for _, in := range s.alive() {
		for _, b := range in.record.Listeners {
			named = append(named, b.Address)
		}
	}
	s.mu.Lock()
	leave := s.taken || h.life.Err() != nil
	if s.serving != nil {
		p := s.serving.Package()
		named = append(named, h.addresses(p)...)
		leave = leave || p.Manifest == nil // a damaged package does not say what it needs
	}
	s.mu.Unlock()
	if leave {
		return
	}
	ctx, cancel := context.WithTimeout(h.life, statusTimeout)
	defer cancel()
	if err := h.o.Listeners.Retain(ctx, s.name, named); err != nil {
		h.log.Warn("listeners that nobody needs stay open", "service", s.name, "error", err)
	}
}

// link gives the service's socket its command's name.
func (h *Host) link(p release.Package) error {
	word := command(p)
	if word == p.Name {
		return nil
	}
	link, target := filepath.Join(h.o.Run, word+".sock"), p.Name+".sock"
	if to, err := os.Readlink(link); err == nil && to == target {
		return nil
	}
	if info, err := os.Lstat(link); err == nil && info.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("the command %q has the name of another socket", word)
	}
	tmp := link + ".tmp"
	_ = os.Remove(tmp)
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	return os.Rename(tmp, link)
}

func command(p release.Package) string {
	if p.Manifest == nil || p.Manifest.Command == "" {
		return p.Name
	}
	return p.Manifest.Command
}
