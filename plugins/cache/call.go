package main

import (
	"math"

	"github.com/theseusd/theseus/sdk/serve/resp"
)

// maxReply is how many bytes a reply may have, or those of a transaction together: as many as a command.
const maxReply = resp.MaxQuery

// call is one command on one connection. A command answers by writing, or returns an error, not both.
type call struct {
	conn   *resp.Conn
	client *client
	word   string // of the command, in lower case
	args   [][]byte
	exec   bool // within a transaction: all locks that it needs are held
	most   int  // bytes of replies that the connection may have collected
	over   bool // there would have been more
}

func (q *call) ok()             { q.conn.WriteOK() }
func (q *call) status(s string) { q.conn.WriteString(s) }
func (q *call) int(n int64)     { q.conn.WriteInt(n) }
func (q *call) null()           { q.conn.WriteNull() }
func (q *call) array(n int)     { q.conn.WriteArray(n) }
func (q *call) dict(n int)      { q.conn.WriteMap(n) }

func (q *call) bulk(b []byte) {
	if q.fits(len(b)) {
		q.conn.WriteBulk(b)
	}
}

func (q *call) text(s string) {
	if q.fits(len(s)) {
		q.conn.WriteBulkString(s)
	}
}

func (q *call) fits(n int) bool {
	q.over = q.over || q.conn.Buffered()+n > q.most
	return !q.over
}

// collect has replies collected up to a number of bytes, while locks are held: a client may not read.
func (q *call) collect(most int) {
	q.conn.Collect(true)
	q.most = q.conn.Buffered() + most
}

// send ends that.
func (q *call) send() {
	q.most = math.MaxInt
	q.conn.Collect(false)
}

// whole takes back what was collected from mark on if that is no answer: the command failed, or there is too much.
func (q *call) whole(mark int, err error) error {
	if err == nil && q.over {
		err = errReply
	}
	if q.over = false; err != nil {
		q.conn.Truncate(mark)
	}
	return err
}

// pair is one entry of a dict.
func (q *call) pair(key, value string) {
	q.text(key)
	q.text(value)
}

// count is one entry of a dict.
func (q *call) count(key string, n int64) {
	q.text(key)
	q.int(n)
}

func (q *call) strings(list []string) {
	q.array(len(list))
	for _, s := range list {
		q.text(s)
	}
}

func (q *call) okIf(err error) error {
	if err == nil {
		q.ok()
	}
	return err
}

func (q *call) intIf(n int64, err error) error {
	if err == nil {
		q.int(n)
	}
	return err
}

func (q *call) boolIf(yes bool, err error) error {
	if yes {
		return q.intIf(1, err)
	}
	return q.intIf(0, err)
}

func (q *call) bulkIf(b []byte, ok bool, err error) error {
	switch {
	case err != nil:
		return err
	case ok:
		q.bulk(b)
	default:
		q.null()
	}
	return nil
}
