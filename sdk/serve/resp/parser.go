package resp

import (
	"bytes"
	"errors"

	"github.com/tidwall/redcon"
)

// Limits of a command, as Redis has them.
const (
	MaxArgs   = 1 << 20   // arguments
	MaxBulk   = 512 << 20 // bytes of an argument
	MaxQuery  = 1 << 30   // bytes of a command
	MaxInline = 64 << 10  // bytes of an inline command, or of a line with a length
)

// protocolError is what is wrong with a client's bytes, as Redis words it.
type protocolError string

func (e protocolError) Error() string { return "Protocol error: " + string(e) }

const (
	errMultibulk    = protocolError("invalid multibulk length")
	errBulk         = protocolError("invalid bulk length")
	errInline       = protocolError("too big inline request")
	errMultibulkBig = protocolError("too big mbulk count string")
	errBulkBig      = protocolError("too big bulk count string")
	errQuotes       = protocolError("unbalanced quotes in request")
	errQuery        = protocolError("query is too big")
)

// A parser finds commands in a buffer that grows at its end. It never looks at a byte of a large command twice.
type parser struct {
	at    int   // bytes of the command understood so far
	scan  int   // bytes of its current line that have been searched for an end
	left  int   // arguments still to come; 0 outside of a command
	size  int   // of the argument that comes; -1 if that is not known yet
	spans []int // begin and end of each argument
	args  [][]byte
}

// next takes the command at the beginning of b: its arguments, which lie in b, and its length. A length of 0 says
// that more bytes are needed; then the next call must be with the same bytes and more. A command without arguments
// is to be skipped.
func (p *parser) next(b []byte) (args [][]byte, n int, err error) {
	if len(b) == 0 {
		return nil, 0, nil
	}
	if b[0] != '*' {
		return p.inline(b)
	}
	if p.at == 0 {
		if done, err := p.begin(b); err != nil || !done {
			return nil, 0, err
		}
	}
	for p.left > 0 {
		if done, err := p.argument(b); err != nil || !done {
			return nil, 0, err
		}
	}
	return p.finish(b)
}

func (p *parser) finish(b []byte) ([][]byte, int, error) {
	p.args = p.args[:0]
	for i := 0; i < len(p.spans); i += 2 {
		p.args = append(p.args, b[p.spans[i]:p.spans[i+1]:p.spans[i+1]])
	}
	n := p.at
	p.reset()
	return p.args, n, nil
}

func (p *parser) reset() {
	p.at, p.scan, p.left, p.spans = 0, 0, 0, p.spans[:0]
	if cap(p.spans) > 1024 {
		p.spans = nil
	}
}

// begin reads the number of arguments.
func (p *parser) begin(b []byte) (bool, error) {
	count, done, err := p.length(b, errMultibulk, errMultibulkBig)
	if err != nil || !done {
		return false, err
	}
	if count > MaxArgs {
		return false, errMultibulk
	}
	p.left, p.size = max(count, 0), -1
	return true, nil
}

// argument reads one argument.
func (p *parser) argument(b []byte) (bool, error) {
	if p.size < 0 {
		if done, err := p.bulk(b); err != nil || !done {
			return false, err
		}
	}
	end := p.at + p.size
	if len(b) < end+2 {
		return false, nil
	}
	if b[end] != '\r' || b[end+1] != '\n' {
		return false, errBulk
	}
	p.spans = append(p.spans, p.at, end)
	p.at, p.size = end+2, -1
	p.left--
	return true, nil
}

// bulk reads the length of an argument.
func (p *parser) bulk(b []byte) (bool, error) {
	if p.at == len(b) {
		return false, nil
	}
	if b[p.at] != '$' {
		return false, errors.New("Protocol error: expected '$', got '" + printable(b[p.at]) + "'")
	}
	n, done, err := p.length(b, errBulk, errBulkBig)
	if err != nil || !done {
		return false, err
	}
	if n < 0 || n > MaxBulk {
		return false, errBulk
	}
	if p.at+n > MaxQuery {
		return false, errQuery
	}
	p.size = n
	return true, nil
}

func printable(c byte) string {
	if c < ' ' || c > '~' {
		return "?"
	}
	return string(rune(c))
}

// length reads the line at p.at: a mark and a number.
func (p *parser) length(b []byte, invalid, big error) (n int, done bool, err error) {
	line, done, err := p.line(b[p.at:], big)
	if err != nil || !done {
		return 0, false, err
	}
	n, ok := number(line[1:])
	if !ok {
		return 0, false, invalid
	}
	p.at += len(line) + 2
	return n, true, nil
}

// line is the first line of b, without its end.
func (p *parser) line(b []byte, big error) (line []byte, done bool, err error) {
	i := bytes.IndexByte(b[p.scan:], '\n')
	if i < 0 {
		p.scan = len(b)
		if len(b) > MaxInline {
			return nil, false, big
		}
		return nil, false, nil
	}
	i += p.scan
	p.scan = 0
	if i < 2 || b[i-1] != '\r' || i > MaxInline {
		return nil, false, big
	}
	return b[:i-1], true, nil
}

// number reads a decimal that fits.
func number(b []byte) (int, bool) {
	neg := len(b) > 1 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 10 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	if neg {
		n = -n
	}
	return n, true
}

// inline reads a command that a person typed.
func (p *parser) inline(b []byte) ([][]byte, int, error) {
	i := bytes.IndexByte(b[p.scan:], '\n')
	if i < 0 {
		p.scan = len(b)
		if len(b) > MaxInline {
			return nil, 0, errInline
		}
		return nil, 0, nil
	}
	n := p.scan + i + 1
	p.scan = 0
	if n > MaxInline {
		return nil, 0, errInline
	}
	if b[0] == '$' { // to redcon this is something else than to Redis
		p.args = append(p.args[:0], bytes.Fields(b[:n])...)
		return p.args, n, nil
	}
	_, args, _, _, err := redcon.ReadNextCommand(b[:n], p.args)
	if err != nil {
		return nil, 0, errQuotes
	}
	p.args = args
	return args, n, nil
}
