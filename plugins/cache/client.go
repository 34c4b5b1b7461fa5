package main

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// What the cache knows of a connection lies in its session and so goes with it from version to version: eight bytes
// of number, 0 if it has none yet, and the name.

func (q *call) session() (id int64, name string) {
	s := q.conn.Session()
	if len(s) < 8 {
		return 0, ""
	}
	return int64(binary.BigEndian.Uint64(s)), string(s[8:])
}

func (q *call) setSession(id int64, name string) error {
	return q.conn.SetSession(append(binary.BigEndian.AppendUint64(nil, uint64(id)), name...))
}

func (q *call) name() string {
	_, name := q.session()
	return name
}

func (q *call) setName(name string) error {
	id, _ := q.session()
	return q.setSession(id, name)
}

// clientID is the number of a connection. It is given at the first question and never again to another one: numbers
// begin at the time at which the process did.
func (c *cache) clientID(q *call) (int64, error) {
	id, name := q.session()
	if id != 0 {
		return id, nil
	}
	id = c.started.UnixMicro() + c.clients.Add(1)
	return id, q.setSession(id, name)
}

// client is CLIENT with its subcommands.
func (c *cache) client(q *call) error {
	sub, args := strings.ToLower(string(q.args[1])), q.args[2:]
	arity, known := map[string]int{"id": 0, "getname": 0, "setname": 1, "setinfo": 2}[sub]
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
		return q.bulkIf([]byte(q.name()), q.name() != "", nil)
	case "setname":
		return q.rename(args[0])
	default:
		return q.okIf(checkInfo(args[0], args[1]))
	}
}

func (q *call) rename(name []byte) error {
	if !validName(name) {
		return errName
	}
	return q.okIf(q.setName(string(name)))
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
