package main

import (
	"bytes"
	"errors"
	"fmt"
)

// hello greets, and chooses RESP2 or RESP3 for the rest of the connection.
func (c *cache) hello(q *call) error {
	proto, err := protocolOf(q)
	if err != nil {
		return err
	}
	name, named, err := helloOptions(q.args)
	if err != nil {
		return err
	}
	if named {
		err = q.client.setName(name)
	}
	if err = errors.Join(err, q.conn.SetProto(proto)); err != nil {
		return err
	}
	return c.greet(q)
}

func protocolOf(q *call) (int, error) {
	if len(q.args) == 1 {
		return q.conn.Proto(), nil
	}
	n, err := parseInt(q.args[1])
	if err != nil {
		return 0, errNotNumber
	}
	if n != 2 && n != 3 {
		return 0, errProtocol
	}
	return int(n), nil
}

// helloOptions reads AUTH USER PASSWORD, which is right for the default user only, and SETNAME NAME.
func helloOptions(args [][]byte) (name string, named bool, err error) {
	for i := 2; i < len(args); i++ {
		switch left := len(args) - i - 1; {
		case isWord(args[i], "AUTH") && left >= 2:
			if !isDefaultUser(args[i+1]) {
				return "", false, errPassword
			}
			i += 2
		case isWord(args[i], "SETNAME") && left >= 1:
			i++
			name, named = string(args[i]), true
			if !validName(args[i]) {
				return "", false, errName
			}
		default:
			return "", false, failure(fmt.Sprintf("ERR Syntax error in HELLO option '%s'", args[i]))
		}
	}
	return name, named, nil
}

func isDefaultUser(user []byte) bool { return string(user) == "default" }

// validName holds for printable ASCII without spaces.
func validName(name []byte) bool {
	return bytes.IndexFunc(name, func(r rune) bool { return r < '!' || r > '~' }) < 0
}

func (c *cache) greet(q *call) error {
	id, err := c.clientID(q)
	if err != nil {
		return err
	}
	q.dict(7)
	q.pair("server", "redis") // what clients look for
	q.pair("version", redisVersion)
	q.text("proto")
	q.int(int64(q.conn.Proto()))
	q.text("id")
	q.int(id)
	q.pair("mode", "standalone")
	q.pair("role", "master")
	q.text("modules")
	q.array(0)
	return nil
}

// auth takes any password of the default user: there are no others, and who may connect is not decided here.
func (c *cache) auth(q *call) error {
	switch {
	case len(q.args) == 2:
		return errNoAuth
	case len(q.args) > 3:
		return errSyntax
	case !isDefaultUser(q.args[1]):
		return errPassword
	}
	q.ok()
	return nil
}
