package main

import (
	"fmt"
	"slices"
	"strings"
)

// arities of CLIENT's subcommands: how many words follow.
var clientWords = map[string]int{
	"id": 0, "getname": 0, "setname": 1, "setinfo": 2, "info": 0, "no-evict": 1, "no-touch": 1, "getredir": 0, "help": 0,
}

// client is CLIENT with its subcommands.
func (c *cache) client(q *call) error {
	sub, args := strings.ToLower(string(q.args[1])), q.args[2:]
	arity, known := clientWords[sub]
	switch {
	case !known:
		return errSubcommand(q)
	case len(args) != arity:
		return errArity("client|" + sub)
	}
	switch sub {
	case "id":
		id, err := c.clientID(q)
		return q.intIf(id, err)
	case "getname":
		return q.bulkIf([]byte(q.client.name), q.client.name != "", nil)
	case "setname":
		return q.rename(args[0])
	case "setinfo":
		return q.okIf(checkInfo(args[0], args[1]))
	case "info":
		return c.clientInfo(q)
	case "getredir":
		q.int(-1)
	case "help":
		q.help("CLIENT", clientWords)
	default: // what is there to be evicted or touched is not decided by connections
		return q.okIf(onOrOff(args[0]))
	}
	return nil
}

func onOrOff(word []byte) error {
	if isWord(word, "ON") || isWord(word, "OFF") {
		return nil
	}
	return errSyntax
}

func (q *call) help(command string, words map[string]int) {
	lines := []string{command + " <subcommand> [<arg> ...]. Subcommands are:"}
	for word := range words {
		lines = append(lines, strings.ToUpper(word))
	}
	slices.Sort(lines[1:])
	q.statuses(lines)
}

func (c *cache) clientInfo(q *call) error {
	id, err := c.clientID(q)
	if err != nil {
		return err
	}
	cl := q.client
	multi := -1
	if cl.multi {
		multi = len(cl.queued)
	}
	q.text(fmt.Sprintf("id=%d addr=%s laddr=%s name=%s db=0 sub=%d psub=%d multi=%d resp=%d\n",
		id, q.conn.RemoteAddr(), q.conn.LocalAddr(), cl.name, len(cl.subs.channels), len(cl.subs.patterns), multi, q.conn.Proto()))
	return nil
}

func (q *call) rename(name []byte) error {
	if !validName(name) {
		return errName
	}
	return q.okIf(q.client.setName(string(name)))
}

// setName keeps a name, or the one before if it is too long.
func (cl *client) setName(name string) error {
	before := cl.name
	cl.name = name
	err := cl.keep()
	if err != nil {
		cl.name = before
	}
	return err
}

// checkInfo looks at what a library says of itself, which is not kept.
func checkInfo(attribute, value []byte) error {
	if !isWord(attribute, "lib-name") && !isWord(attribute, "lib-ver") {
		return failure(fmt.Sprintf("ERR Unrecognized option '%s'", attribute))
	}
	if !validName(value) {
		return failure(fmt.Sprintf("ERR %s cannot contain spaces, newlines or special characters.", attribute))
	}
	return nil
}

// reset begins the connection anew.
func (c *cache) reset(q *call) error {
	cl := q.client
	c.deafen(q)
	cl.end(q.conn)
	cl.name = ""
	if err := q.conn.SetProto(2); err != nil {
		return err
	}
	if err := cl.keep(); err != nil {
		return err
	}
	q.status("RESET")
	return nil
}
