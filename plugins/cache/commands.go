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
}

var commands = []command{
	{"append", "string", 3, "write denyoom fast", 1, 1, 1, "Appends to the value of a key", (*cache).append},
	{"auth", "connection", -2, "loading stale fast no_auth", 0, 0, 0, "Takes any password of the default user", (*cache).auth},
	{"client", "connection", -2, "fast", 0, 0, 0, "Tells about and names the connection", (*cache).client},
	{"command", "server", -1, "loading stale", 0, 0, 0, "Tells about the commands", (*cache).command},
	{"dbsize", "server", 1, "readonly fast", 0, 0, 0, "Counts the keys", (*cache).dbsize},
	{"decr", "string", 2, "write denyoom fast", 1, 1, 1, "Takes one from a number", (*cache).decr},
	{"decrby", "string", 3, "write denyoom fast", 1, 1, 1, "Takes from a number", (*cache).decrby},
	{"del", "generic", -2, "write", 1, -1, 1, "Deletes keys", (*cache).del},
	{"echo", "connection", 2, "fast", 0, 0, 0, "Answers its argument", (*cache).echo},
	{"exists", "generic", -2, "readonly fast", 1, -1, 1, "Counts which of the keys are there", (*cache).exists},
	{"expire", "generic", -3, "write fast", 1, 1, 1, "Lets a key end in some seconds", (*cache).expire},
	{"expireat", "generic", -3, "write fast", 1, 1, 1, "Lets a key end at a Unix time", (*cache).expireat},
	{"flushall", "server", -1, "write", 0, 0, 0, "Deletes all keys", (*cache).flush},
	{"flushdb", "server", -1, "write", 0, 0, 0, "Deletes all keys", (*cache).flush},
	{"get", "string", 2, "readonly fast", 1, 1, 1, "Answers the value of a key", (*cache).get},
	{"getdel", "string", 2, "write fast", 1, 1, 1, "Answers the value of a key and deletes it", (*cache).getdel},
	{"hello", "connection", -1, "loading stale fast no_auth", 0, 0, 0, "Greets and chooses the protocol", (*cache).hello},
	{"incr", "string", 2, "write denyoom fast", 1, 1, 1, "Adds one to a number", (*cache).incr},
	{"incrby", "string", 3, "write denyoom fast", 1, 1, 1, "Adds to a number", (*cache).incrby},
	{"info", "server", -1, "loading stale", 0, 0, 0, "Tells about the server", (*cache).info},
	{"keys", "generic", 2, "readonly", 0, 0, 0, "Lists the keys that fit a pattern", (*cache).keys},
	{"mget", "string", -2, "readonly fast", 1, -1, 1, "Answers the values of keys", (*cache).mget},
	{"mset", "string", -3, "write denyoom", 1, -1, 2, "Sets keys, all at once", (*cache).mset},
	{"persist", "generic", 2, "write fast", 1, 1, 1, "Lets a key stay for ever", (*cache).persist},
	{"pexpire", "generic", -3, "write fast", 1, 1, 1, "Lets a key end in some milliseconds", (*cache).pexpire},
	{"pexpireat", "generic", -3, "write fast", 1, 1, 1, "Lets a key end at a Unix time in milliseconds", (*cache).pexpireat},
	{"ping", "connection", -1, "fast", 0, 0, 0, "Answers PONG", (*cache).ping},
	{"pttl", "generic", 2, "readonly fast", 1, 1, 1, "Answers the milliseconds a key has left", (*cache).pttl},
	{"scan", "generic", -2, "readonly", 0, 0, 0, "Lists keys step by step", (*cache).scan},
	{"select", "connection", 2, "loading stale fast", 0, 0, 0, "Chooses the database, of which there is one", (*cache).selectDB},
	{"set", "string", -3, "write denyoom", 1, 1, 1, "Sets a key", (*cache).set},
	{"strlen", "string", 2, "readonly fast", 1, 1, 1, "Answers the length of a value", (*cache).strlen},
	{"ttl", "generic", 2, "readonly fast", 1, 1, 1, "Answers the seconds a key has left", (*cache).ttl},
	{"type", "generic", 2, "readonly fast", 1, 1, 1, "Answers the type of a key", (*cache).typeOf},
	{"unlink", "generic", -2, "write fast", 1, -1, 1, "Deletes keys", (*cache).del},
}

// serve answers one command.
func (c *cache) serve(conn *resp.Conn, args [][]byte) {
	cmd := c.find(args[0])
	var err error
	switch {
	case cmd == nil:
		err = errUnknown(args)
	case !cmd.accepts(len(args)):
		err = errArity(cmd.name)
	default:
		err = cmd.run(c, &call{conn: conn, word: cmd.name, args: args})
	}
	switch {
	case err == nil:
	case clientsFault(err):
		conn.WriteError(wireText(err))
	default:
		conn.WriteFailure(wireText(err))
	}
}

// index finds commands as most clients write them.
func index(table []command) map[string]*command {
	m := make(map[string]*command, 2*len(table))
	for i := range table {
		m[table[i].name] = &table[i]
		m[strings.ToUpper(table[i].name)] = &table[i]
	}
	return m
}

// find looks a command up, however it is spelled.
func (c *cache) find(name []byte) *command {
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
