package main

import "strings"

// command is COMMAND with its subcommands: what the table says.
func (c *cache) command(q *call) error {
	if len(q.args) == 1 {
		q.array(len(c.table))
		for i := range c.table {
			q.describe(&c.table[i])
		}
		return nil
	}
	switch names := q.args[2:]; strings.ToLower(string(q.args[1])) {
	case "count":
		if len(names) > 0 {
			return errArity("command|count")
		}
		q.int(int64(len(c.table)))
	case "docs":
		c.docs(q, names)
	case "info":
		c.infos(q, names)
	case "list":
		c.list(q)
	default:
		return errSubcommand(q)
	}
	return nil
}

// describe answers the ten fields of a command.
func (q *call) describe(cmd *command) {
	q.array(10)
	q.text(cmd.name)
	q.int(int64(cmd.arity))
	q.statuses(strings.Fields(cmd.flags))
	q.int(int64(cmd.first))
	q.int(int64(cmd.last))
	q.int(int64(cmd.gap))
	for range 4 { // categories, tips, key specifications, subcommands
		q.array(0)
	}
}

func (q *call) statuses(words []string) {
	q.array(len(words))
	for _, word := range words {
		q.status(word)
	}
}

func (c *cache) infos(q *call, names [][]byte) {
	if len(names) == 0 {
		for i := range c.table {
			names = append(names, []byte(c.table[i].name))
		}
	}
	q.array(len(names))
	for _, name := range names {
		if cmd := c.lookup(name); cmd != nil {
			q.describe(cmd)
		} else {
			q.null()
		}
	}
}

func (c *cache) docs(q *call, names [][]byte) {
	var found []*command
	for i := range c.table {
		if len(names) == 0 {
			found = append(found, &c.table[i])
		}
	}
	for _, name := range names {
		if cmd := c.lookup(name); cmd != nil {
			found = append(found, cmd)
		}
	}
	q.dict(len(found))
	for _, cmd := range found {
		q.text(cmd.name)
		q.dict(2)
		q.pair("summary", cmd.short)
		q.pair("group", cmd.group)
	}
}

func (c *cache) list(q *call) {
	names := make([]string, len(c.table))
	for i := range c.table {
		names[i] = c.table[i].name
	}
	q.strings(names)
}
