// Command breaker keeps circuit breakers that all callers of a service share: they ask before a call and tell how it went.
//
//	breaker status serviceA                                        state: open (cooldown=30s)
//	curl -X POST localhost:8084/breakers/serviceA/permit           {"allowed":true,"state":"closed"}
//	curl localhost:8084/breakers/serviceA/report -d '{"ok":false}'  {"state":"open","changes":[{"event":"trip", ...
//
// The circuits lie in the state log: counts, cooldowns, probes under way and what was forced outlive crashes and upgrades.
package main

import (
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc"

	"github.com/theseusd/theseus/plugins/breaker/api"
	"github.com/theseusd/theseus/plugins/breaker/internal/circuit"
	"github.com/theseusd/theseus/sdk"
)

const version = "1.0.0"

// config is what theseus.toml may say of the service.
type config struct {
	Default  circuit.Settings            `json:"default"`  // of every circuit
	Breakers map[string]circuit.Settings `json:"breakers"` // by name
}

func (c config) check() error {
	c.Default = c.Default.Over(circuit.DefaultSettings)
	if err := c.Default.Check(); err != nil {
		return fmt.Errorf("config: default: %w", err)
	}
	for name, s := range c.Breakers {
		err := checkName(name)
		if err == nil {
			err = s.Over(c.Default).Check()
		}
		if err != nil {
			return fmt.Errorf("config: breakers.%s: %w", name, err)
		}
	}
	return nil
}

func main() { sdk.Main(sdk.Service{Name: "breaker", Version: version, Setup: setup}) }

func setup(s *sdk.Setup) error {
	var cfg config
	if err := s.Config(&cfg); err != nil {
		return err
	}
	if err := cfg.check(); err != nil {
		return err
	}
	b := newBreakers(s, cfg, s.Log())
	s.Ready(b.ready)
	s.Go(b.run)
	s.HTTPServer("http", &http.Server{Handler: b.routes(), ReadHeaderTimeout: 10 * time.Second})
	s.GRPC("grpc", func(r grpc.ServiceRegistrar) { api.RegisterBreakerServer(r, caller{b: b}) })
	for _, v := range b.verbs() {
		s.Verb(v)
	}
	return nil
}
