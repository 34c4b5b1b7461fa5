package main

import (
	"fmt"
	"strings"

	"github.com/theseusd/theseus/sdk/serve/resp"
)

// command is a line of the table: what COMMAND tells of it, and what it does.
type command struct {
	name, group      string // group as in Redis' documentation
	arity            int    // words, the name included; negative is "at least"
	flags            string
	first, last, gap int // which words are keys
	short            string
	run              func(*cache, *call) error

	write, alone bool // of the flags: it changes its keys; it cannot be in a transaction
}

// keys of a call, by the words that the table names.
func (cmd *command) keys(args [][]byte) (keys [][]byte) {
	if cmd.first == 0 {
		return nil
	}
	last := cmd.last
	if last < 0 {
		last += len(args)
	}
	for i := cmd.first; i <= last && i < len(args); i += cmd.gap {
		keys = append(keys, args[i])
	}
	return keys
}

// serve answers one command.
func (c *cache) serve(conn *resp.Conn, args [][]byte) {
	cl := clientOf(conn)
	q := &cl.call
	q.args = args
	if err := c.dispatch(q); err != nil {
		q.fail(err)
	}
	q.args = nil
}

// fail answers with an error.
func (q *call) fail(err error) {
	if clientsFault(err) {
		q.conn.WriteError(wireText(err))
	} else {
		q.conn.WriteFailure(wireText(err))
	}
}

// dispatch finds out what a command is, and does it or, in a transaction, remembers it.
func (c *cache) dispatch(q *call) error {
	cmd := c.lookup(q.args[0])
	err := c.refuse(cmd, q)
	switch {
	case err != nil:
		q.spoil()
		return err
	case q.client.multi && !cmd.ends():
		return c.queue(cmd, q)
	}
	q.word = cmd.name
	return c.perform(cmd, q)
}

// refuse says why a command cannot be.
func (c *cache) refuse(cmd *command, q *call) error {
	switch {
	case cmd == nil:
		return errUnknown(q.args)
	case !cmd.accepts(len(q.args)):
		return errArity(cmd.name)
	case q.client.listens() && q.conn.Proto() == 2 && !cmd.forListeners():
		return errListening(cmd.name)
	}
	return nil
}

// perform runs a command with the locks of its keys. Nothing is sent while they are held.
func (c *cache) perform(cmd *command, q *call) error {
	if cmd.first == 0 {
		return cmd.run(c, q)
	}
	mark := q.conn.Buffered()
	q.collect(c.maxReply)
	defer q.send()
	return q.whole(mark, c.locked(cmd, q))
}

func (c *cache) locked(cmd *command, q *call) error {
	if cmd.last == cmd.first && cmd.first < len(q.args) {
		p := &c.locks.all[c.locks.slot(q.args[cmd.first])]
		p.take(cmd.write)
		defer p.give(cmd.write)
		return cmd.run(c, q)
	}
	s := c.locks.of(cmd.keys(q.args)...)
	c.locks.hold(s, cmd.write)
	defer c.locks.unhold(s, cmd.write)
	return cmd.run(c, q)
}

// index finds commands as most clients write them, and reads their flags.
func index(table []command) map[string]*command {
	m := make(map[string]*command, 2*len(table))
	for i := range table {
		cmd := &table[i]
		for _, flag := range strings.Fields(cmd.flags) {
			cmd.write = cmd.write || flag == "write"
			cmd.alone = cmd.alone || flag == "no_multi"
		}
		m[cmd.name], m[strings.ToUpper(cmd.name)] = cmd, cmd
	}
	return m
}

// lookup finds a command, however it is spelled.
func (c *cache) lookup(name []byte) *command {
	if cmd := c.byName[string(name)]; cmd != nil {
		return cmd
	}
	return c.byName[strings.ToLower(string(name))]
}

// accepts says whether n words, the name included, are a right number of them.
func (cmd *command) accepts(n int) bool { return n == cmd.arity || cmd.arity < 0 && n >= -cmd.arity }

// errUnknown says which command it was, with as much of its arguments as fits.
func errUnknown(args [][]byte) failure {
	var with strings.Builder
	for _, arg := range args[1:] {
		if with.Len() >= 128 {
			break
		}
		fmt.Fprintf(&with, "'%.*s' ", 128-with.Len(), arg)
	}
	return failure(fmt.Sprintf("ERR unknown command '%.128s', with args beginning with: %s", args[0], &with))
}
