package sdk

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/theseusd/theseus/sdk/serve"
)

// controlListener is the name of the service's own unix socket.
const controlListener = "control"

// inheritedListeners opens listening sockets that the process was born with: `name=fd,name=fd`. The keel holds
// them too, so closing one here closes nothing for the clients.
func inheritedListeners(variable string) (map[string]net.Listener, error) {
	m := map[string]net.Listener{}
	for entry := range strings.SplitSeq(os.Getenv(variable), ",") {
		if entry == "" {
			continue
		}
		name, ln, err := inheritedListener(variable, entry)
		if err != nil {
			return nil, err
		}
		m[name] = ln
	}
	return m, nil
}

func inheritedListener(variable, entry string) (string, net.Listener, error) {
	name, number, _ := strings.Cut(entry, "=")
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 3 {
		return "", nil, fmt.Errorf("sdk: %s: %q is not name=descriptor", variable, entry)
	}
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	ln, err := net.FileListener(f)
	if err != nil {
		return "", nil, fmt.Errorf("sdk: listener %s: %w", name, err)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	return name, ln, nil
}

// bindAll joins the declared listeners with the inherited ones. One that is declared and not there is an error; the
// other way round it is not, the version may have given it up.
func (s *Setup) bindAll(g *serve.Group, inherited map[string]net.Listener) error {
	if ln, ok := inherited[controlListener]; ok {
		g.HTTP(controlListener, ln, &http.Server{Handler: verbHandler(s)})
	}
	var errs []error
	for _, l := range s.listeners {
		if ln, ok := inherited[l.name]; ok {
			l.serve(g, ln)
			continue
		}
		errs = append(errs, fmt.Errorf("sdk: %s serves the listener %q, but its manifest declares none of that name", s.service.Name, l.name))
	}
	return errors.Join(errs...)
}
