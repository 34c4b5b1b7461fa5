package main

import (
	"strconv"
	"strings"

	"github.com/theseusd/theseus/plugins/cache/internal/entry"
	"github.com/theseusd/theseus/plugins/cache/internal/glob"
)

func (c *cache) keys(q *call) error {
	var keys []string
	for _, k := range order {
		err := c.spaces.tables[k].Range(func(key string, row []byte) bool {
			if glob.Match(q.args[1], []byte(key)) && c.alive(key, row) {
				keys = append(keys, key)
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	q.strings(keys)
	return nil
}

// alive is false for a row that was invalidated and is not removed yet.
func (c *cache) alive(key string, row []byte) bool {
	e, err := entry.Parse(row)
	return err == nil && (len(e.Tags) == 0 || c.isKind(key, ""))
}

// scanOptions are the words after SCAN CURSOR.
type scanOptions struct {
	pattern []byte
	count   int64
	kind    string // "" is any
}

func parseScan(words [][]byte) (o scanOptions, err error) {
	o.count = 10
	for ; len(words) >= 2 && err == nil; words = words[2:] {
		switch strings.ToUpper(string(words[0])) {
		case "COUNT":
			if o.count, err = parseInt(words[1]); err == nil && o.count < 1 {
				err = errSyntax
			}
		case "MATCH":
			o.pattern = words[1]
		case "TYPE":
			o.kind = strings.ToLower(string(words[1]))
		default:
			return o, errSyntax
		}
	}
	if err == nil && len(words) > 0 {
		err = errSyntax
	}
	return o, err
}

func (o *scanOptions) fits(name string) bool {
	return o.pattern == nil || glob.Match(o.pattern, []byte(name))
}

const maxScan = 10_000 // keys that one SCAN looks at, whatever COUNT says

// order is how the tables follow each other in a scan; a cursor says which one it is at.
var order = []Keep{Volatile, Durable, Drop}

const tableBits = 2

// step is one step through all tables from a cursor on, and the cursor to go on with, 0 at the end. A key that is there
// all the time is met exactly once.
func (c *cache) step(cursor uint64, n int) (keys []string, next uint64) {
	at, inner := cursor&(1<<tableBits-1), cursor>>tableBits
	if at >= uint64(len(order)) {
		return nil, 0
	}
	keys, inner = c.spaces.tables[order[at]].Scan(inner, n)
	if inner != 0 {
		return keys, inner<<tableBits | at
	}
	for at++; at < uint64(len(order)); at++ {
		if c.spaces.tables[order[at]].Len() > 0 {
			return keys, at
		}
	}
	return keys, 0
}

// scan answers some keys and the cursor from which to go on, 0 at the end.
func (c *cache) scan(q *call) error {
	cursor, err := strconv.ParseUint(string(q.args[1]), 10, 64)
	if err != nil {
		return errCursor
	}
	o, err := parseScan(q.args[2:])
	if err != nil {
		return err
	}
	keys, next := c.step(cursor, int(min(o.count, maxScan)))
	fit := keys[:0]
	for _, key := range keys {
		if o.fits(key) && c.isKind(key, o.kind) {
			fit = append(fit, key)
		}
	}
	q.array(2)
	q.bulk(strconv.AppendUint(nil, next, 10))
	q.strings(fit)
	return nil
}

// isKind is true for a key that can be found, of the kind that is asked for.
func (c *cache) isKind(key, kind string) bool {
	it, ok, err := c.peek([]byte(key))
	return err == nil && ok && (kind == "" || it.Kind.String() == kind)
}

func (c *cache) randomkey(q *call) error {
	for at := range order {
		for cursor := uint64(at); ; {
			keys, next := c.step(cursor, 1)
			for _, key := range keys {
				if c.isKind(key, "") {
					q.text(key)
					return nil
				}
			}
			if next == 0 || next&(1<<tableBits-1) != uint64(at) {
				break
			}
			cursor = next
		}
	}
	q.null()
	return nil
}
