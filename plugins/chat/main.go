// Command chat is a real-time chat: rooms that crash alone, with a history that goes on.
//
//	chatctl create room general        room general: pid=<0.2.1>
//	chatctl send general "hello"       [general] user42: hello
//	chatctl crash room general         room general crashed; supervisor restarted it
//
// Each room is a process under a supervisor of its own, and its messages lie in the state log: neither a crash nor an
// upgrade loses one. See README.md.
package main

import (
	"net/http"
	"sync"

	"github.com/theseusd/theseus/plugins/chat/internal/api"
	"github.com/theseusd/theseus/plugins/chat/internal/page"
	"github.com/theseusd/theseus/plugins/chat/internal/protocol"
	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk"
)

const version = "1.0.0"

func main() { sdk.Main(sdk.Service{Name: "chat", Version: version, Setup: setup}) }

func setup(s *sdk.Setup) error {
	_, err := open(s)
	return err
}

func open(s *sdk.Setup) (*chat, error) {
	o, key, err := options(s)
	if err != nil {
		return nil, err
	}
	rooms := room.New(s)
	o.HTTP = web(rooms, o.Auth.Open(), key)
	c := &chat{rooms: rooms, clients: protocol.New(rooms, o)}
	s.WebSocket("clients", c.clients.WebSocket())
	s.Go(c.clients.Run)
	for _, v := range c.verbs() {
		s.Verb(v)
	}
	return c, nil
}

// chat is the service.
type chat struct {
	rooms   *room.Rooms
	clients *protocol.Server

	benching sync.Mutex
}

// web is what the chat says to HTTP: programs, and browsers.
func web(rooms *room.Rooms, open bool, key string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", api.API{Rooms: rooms, Key: key}.Handler())
	mux.Handle("/", page.Page{Rooms: rooms, Open: open}.Handler())
	return mux
}
