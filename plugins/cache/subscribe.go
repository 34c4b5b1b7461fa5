package main

import (
	"strings"

	"github.com/theseusd/theseus/plugins/cache/internal/hub"
	"github.com/theseusd/theseus/sdk/serve/resp"
)

// subscriptions of a connection.
type subscriptions struct{ channels, patterns map[string]struct{} }

func newSubscriptions(channels, patterns []string) (s subscriptions) {
	for _, name := range channels {
		s.set(&s.channels, name)
	}
	for _, name := range patterns {
		s.set(&s.patterns, name)
	}
	return s
}

func (s *subscriptions) set(of *map[string]struct{}, name string) {
	if *of == nil {
		*of = map[string]struct{}{}
	}
	(*of)[name] = struct{}{}
}

func (s *subscriptions) count() int { return len(s.channels) + len(s.patterns) }

func (cl *client) listens() bool { return cl.subs.count() > 0 }

// forListeners is true for what a client of RESP2 may say while it listens.
func (cmd *command) forListeners() bool {
	switch cmd.name {
	case "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ping", "reset":
		return true
	}
	return false
}

// resume lets a connection that came from another version hear what it heard there.
func (c *cache) resume(conn *resp.Conn) {
	cl := clientOf(conn)
	for name := range cl.subs.channels {
		c.hub.Subscribe(name, conn)
	}
	for name := range cl.subs.patterns {
		c.hub.PSubscribe(name, conn)
	}
}

// closed takes a connection off all channels.
func (c *cache) closed(conn *resp.Conn) {
	cl := clientOf(conn)
	for name := range cl.subs.channels {
		c.hub.Unsubscribe(name, conn)
	}
	for name := range cl.subs.patterns {
		c.hub.PUnsubscribe(name, conn)
	}
}

// deafen ends all subscriptions without an answer.
func (c *cache) deafen(q *call) {
	c.closed(q.conn)
	q.client.subs = subscriptions{}
	q.conn.Pushing(false)
}

func (c *cache) subscribe(q *call) error {
	return c.listen(q, &q.client.subs.channels, c.hub.Subscribe)
}

func (c *cache) psubscribe(q *call) error {
	return c.listen(q, &q.client.subs.patterns, c.hub.PSubscribe)
}

// listen subscribes to the names of a call, and answers for each. What is too much for the session is refused.
func (c *cache) listen(q *call, of *map[string]struct{}, begin func(string, hub.Listener)) error {
	if q.client.multi {
		return errNotInMulti
	}
	for _, arg := range q.args[1:] {
		name := string(arg)
		_, had := (*of)[name]
		q.client.subs.set(of, name)
		if err := q.client.keep(); err != nil {
			delete(*of, name)
			return errChannels
		}
		if !had {
			q.conn.Pushing(true)
			begin(name, q.conn)
		}
		q.heard(q.word, name, false)
	}
	return nil
}

// heard answers for one name.
func (q *call) heard(word, name string, none bool) {
	q.conn.WritePush(3)
	q.text(word)
	if none {
		q.null()
	} else {
		q.text(name)
	}
	q.int(int64(q.client.subs.count()))
}

func (c *cache) unsubscribe(q *call) error {
	return c.forget(q, q.client.subs.channels, c.hub.Unsubscribe)
}

func (c *cache) punsubscribe(q *call) error {
	return c.forget(q, q.client.subs.patterns, c.hub.PUnsubscribe)
}

// forget unsubscribes from the names of a call, or from all.
func (c *cache) forget(q *call, of map[string]struct{}, end func(string, hub.Listener)) error {
	if q.client.multi {
		return errNotInMulti
	}
	names := make([]string, 0, len(q.args))
	for _, arg := range q.args[1:] {
		names = append(names, string(arg))
	}
	if len(names) == 0 {
		for name := range of {
			names = append(names, name)
		}
	}
	for _, name := range names {
		delete(of, name)
		end(name, q.conn)
		q.heard(q.word, name, false)
	}
	if len(names) == 0 {
		q.heard(q.word, "", true)
	}
	if !q.client.listens() {
		q.conn.Pushing(false)
	}
	return q.client.keep()
}

func (c *cache) publish(q *call) error {
	q.int(int64(c.hub.Publish(q.args[1], q.args[2])))
	return nil
}

var pubsubWords = map[string]int{"channels": 0, "numsub": 0, "numpat": 0}

// pubsub is PUBSUB with its subcommands.
func (c *cache) pubsub(q *call) error {
	switch args := q.args[2:]; strings.ToLower(string(q.args[1])) {
	case "channels":
		var pattern []byte
		switch len(args) {
		case 0:
		case 1:
			pattern = args[0]
		default:
			return errSubcommand(q)
		}
		q.strings(c.hub.Channels(pattern))
	case "numsub":
		q.array(2 * len(args))
		for _, channel := range args {
			q.bulk(channel)
			q.int(int64(c.hub.Listeners(string(channel))))
		}
	case "numpat":
		if len(args) > 0 {
			return errArity("pubsub|numpat")
		}
		q.int(int64(c.hub.Patterns()))
	case "help":
		q.help("PUBSUB", pubsubWords)
	default:
		return errSubcommand(q)
	}
	return nil
}
