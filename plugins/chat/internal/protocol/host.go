package protocol

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/theseusd/theseus/sdk/serve/ws"
)

var errHost = &ws.Refusal{Status: http.StatusForbidden, Text: "this host name is not among the origins of the chat"}

// astray is true for what comes from this machine to an open chat under a host name that nobody has given it. It may be a
// page of another host: whoever owns that can have its name lead here, and to a browser the chat is then the page's own host.
func (s *Server) astray(r *http.Request) bool {
	if !s.o.Auth.Open() || !fromHere(r) {
		return false
	}
	name := (&url.URL{Host: r.Host}).Hostname()
	_, err := netip.ParseAddr(name)
	known := name == "" || err == nil || strings.EqualFold(name, "localhost")
	return !known && !slices.Contains(s.o.Origins, r.Host) && !slices.Contains(s.o.Origins, "*")
}

func fromHere(r *http.Request) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// called refuses what is astray.
func (s *Server) called(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.astray(r) {
			http.Error(w, errHost.Text, errHost.Status)
			return
		}
		next.ServeHTTP(w, r)
	})
}
