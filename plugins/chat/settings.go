package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/plugins/chat/internal/limit"
	"github.com/theseusd/theseus/plugins/chat/internal/protocol"
	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/serve/ws"
)

// settings are what theseus.toml may say under [service.chat.config].
type settings struct {
	Tokens    map[string]string `json:"tokens"`    // static tokens, and their users
	Secret    string            `json:"secret"`    // of JSON Web Tokens
	Origins   []string          `json:"origins"`   // hosts whose pages may connect, beside this one
	Slow      string            `json:"slow"`      // what becomes of a client that does not keep up
	Queue     int               `json:"queue"`     // bytes that may wait for a client
	Clients   int               `json:"clients"`   // that may be connected
	Ping      string            `json:"ping"`      // how often clients are asked whether they are there
	Limit     string            `json:"limit"`     // messages of a user
	RateLimit string            `json:"ratelimit"` // the address of a service that is asked instead
	Policy    string            `json:"policy"`    // which it has for the chat
	APIKey    string            `json:"api_key"`   // of programs that use the HTTP interface; without it there is none
}

func options(s *sdk.Setup) (o protocol.Options, apiKey string, err error) {
	c := settings{Slow: "disconnect", Queue: 1 << 20, Ping: "25s", Policy: "chat"}
	if err := s.Config(&c); err != nil {
		return o, "", err
	}
	o = protocol.Options{Origins: c.Origins, Queue: c.Queue, Clients: c.Clients, Skip: c.Slow == "skip"}
	o.Auth = protocol.Auth{Tokens: c.Tokens, Secret: []byte(c.Secret)}
	if o.Ping, err = time.ParseDuration(c.Ping); err != nil || o.Ping < time.Second {
		return o, "", fmt.Errorf("config ping = %q: want a duration of at least 1s, such as 25s", c.Ping)
	}
	for _, user := range c.Tokens {
		if err := room.CheckUser(user); err != nil {
			return o, "", fmt.Errorf("config tokens: %w", err)
		}
	}
	rate, err := limit.ParseRate(c.Limit)
	if err != nil {
		return o, "", fmt.Errorf("config limit = %w", err)
	}
	o.Limit = limit.New(rate, c.RateLimit, c.Policy)
	switch {
	case c.Slow != "disconnect" && c.Slow != "skip":
		return o, "", fmt.Errorf("config slow = %q: want disconnect or skip", c.Slow)
	case c.RateLimit != "" && !strings.HasPrefix(c.RateLimit, "http://") && !strings.HasPrefix(c.RateLimit, "https://"):
		return o, "", fmt.Errorf("config ratelimit = %q: want an address such as http://127.0.0.1:8082", c.RateLimit)
	case c.Queue < 2*ws.MaxMessage: // with less a message could be one that no client can be sent
		return o, "", fmt.Errorf("config queue = %d: want at least %d bytes", c.Queue, 2*ws.MaxMessage)
	case slices.ContainsFunc(c.Origins, func(o string) bool { return strings.Contains(o, "/") }):
		return o, "", fmt.Errorf("config origins = %q: want hosts, such as app.example.org or app.example.org:8443", c.Origins)
	case c.Clients < 0:
		return o, "", fmt.Errorf("config clients = %d: want a number of connections, or 0 for 15000", c.Clients)
	case c.Secret != "" && len(c.Secret) < 32:
		return o, "", fmt.Errorf("config secret: want at least 32 characters")
	}
	return o, c.APIKey, nil
}
