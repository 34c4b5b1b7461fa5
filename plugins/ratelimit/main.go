// Command ratelimit says whether a call may go on: on the command line, over HTTP, in Redis' protocol and in Envoy's.
//
//	ratelimit check user42                        allowed (remaining=9)
//	redis-cli -p 6382 CL.THROTTLE user42 9 10 60  0 10 9 -1 6
//	curl -X POST localhost:8082/check/user42      {"allowed":true,"limits":[{"policy":"default", ...
//
// What was used lies in the state log, so neither a crash nor an upgrade gives anybody a fresh start.
package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	rls "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/watch"
)

const version = "1.0.0"

// config is what theseus.toml may say of the service.
type config struct {
	Policies string `json:"policies"` // path of the file of policies; there is none if empty
}

func main() { sdk.Main(sdk.Service{Name: "ratelimit", Version: version, Setup: setup}) }

func setup(s *sdk.Setup) error {
	var cfg config
	if err := s.Config(&cfg); err != nil {
		return err
	}
	if cfg.Policies != "" && !filepath.IsAbs(cfg.Policies) {
		return fmt.Errorf("config: policies = %q is no absolute path", cfg.Policies)
	}
	l := newLimiter(newTables(s), newPolicies(s, cfg.Policies, s.Log()))
	s.Ready(l.policies.begin)
	if cfg.Policies != "" {
		s.Go(func(ctx context.Context) error {
			watch.File(ctx, cfg.Policies, l.policies.look)
			return nil
		})
	}
	s.HTTPServer("http", &http.Server{Handler: l.routes(), ReadHeaderTimeout: 10 * time.Second})
	s.RESP("resp", l.serveRESP)
	s.GRPC("grpc", func(r grpc.ServiceRegistrar) { rls.RegisterRateLimitServiceServer(r, gateway{l: l}) })
	for _, v := range l.verbs() {
		s.Verb(v)
	}
	return nil
}
