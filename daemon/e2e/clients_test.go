package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/theseusd/theseus/sdk/serve/ws/wstest"
)

// A crowd is clients of the chat in one room, most of them silent, all of which check what they hear.
const (
	speakers = 4
	silent   = 50
)

type crowd struct {
	room                string
	stop, said          atomic.Int64
	speakers, listeners sync.WaitGroup
	all                 []*chatter
}

// chatter is one client, with what it has seen.
type chatter struct {
	conn net.Conn
	in   *bufio.Reader
	out  sync.Mutex // one write at a time
	rest [][]byte   // lines of the last frame that were not read yet
	seen
}

type seen struct {
	heard                               []byte
	last                                uint64 // offset
	closed, lost, twice, joined, parted int
}

// clients starts and stops the clients of a script.
func clients(ts *testscript.TestScript, neg bool, args []string) {
	i := instanceOf(ts)
	switch {
	case !neg && len(args) == 2 && args[0] == "start" && i.crowd == nil:
		i.crowd = startCrowd(ts, i.chat, args[1])
	case !neg && len(args) == 1 && args[0] == "stop" && i.crowd != nil:
		fmt.Fprintln(ts.Stdout(), i.crowd.end(ts))
		i.crowd = nil
	default:
		ts.Fatalf("usage: clients start ROOM, then clients stop")
	}
}

// startCrowd returns when all of them are in the room and talk.
func startCrowd(ts *testscript.TestScript, addr, room string) *crowd {
	c := &crowd{}
	for n := range speakers + silent {
		ch, err := enter(addr, room, n)
		ts.Check(err)
		c.all = append(c.all, ch)
		ts.Defer(func() { _ = ch.conn.Close() })
	}
	for n, ch := range c.all {
		ch.joined = n + 1 - len(c.all) // those who came after it
		c.listeners.Go(ch.listen)
		if n < speakers {
			c.speakers.Go(func() { ch.speak(room, n, c) })
		}
	}
	c.room = room
	for end := time.Now().Add(patience); c.said.Load() < 10*speakers; time.Sleep(askEvery) {
		if time.Now().After(end) {
			ts.Fatalf("the clients do not talk")
		}
	}
	return c
}

func enter(addr, room string, n int) (*chatter, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	conn, in, _, err := ws.Dial(ctx, "ws://"+addr+"/connection/websocket")
	if err != nil {
		return nil, err
	}
	if in == nil {
		in = bufio.NewReader(conn)
	}
	ch := &chatter{conn: conn, in: in}
	for _, cmd := range []string{
		fmt.Sprintf(`{"id":1,"connect":{"data":{"user":"user%d"}}}`, n),
		fmt.Sprintf(`{"id":2,"subscribe":{"channel":%q,"join_leave":true}}`, room),
	} {
		if err := ch.send(cmd); err != nil {
			return nil, err
		}
		if err := ch.answer(); err != nil {
			return nil, err
		}
	}
	return ch, nil
}

func (ch *chatter) send(cmd string) error {
	ch.out.Lock()
	defer ch.out.Unlock()
	return wsutil.WriteClientText(ch.conn, []byte(cmd))
}

// reply is what of an answer or a push is looked at.
type reply struct {
	ID        uint32          `json:"id"`
	Error     json.RawMessage `json:"error"`
	Subscribe struct {
		Offset uint64 `json:"offset"`
	} `json:"subscribe"`
	Push struct {
		Pub struct {
			Offset uint64          `json:"offset"`
			Data   json.RawMessage `json:"data"`
		} `json:"pub"`
		Join  json.RawMessage `json:"join"`
		Leave json.RawMessage `json:"leave"`
	} `json:"push"`
}

// answer reads up to the next answer to a command.
func (ch *chatter) answer() error {
	for {
		r, err := ch.read()
		if err != nil {
			return err
		}
		if r.Error != nil {
			return fmt.Errorf("refused: %s", r.Error)
		}
		ch.last = max(ch.last, r.Subscribe.Offset)
		if r.ID != 0 {
			return nil
		}
	}
}

// read returns the next line, of which a frame may have several. Pings are answered on the way.
func (ch *chatter) read() (r reply, err error) {
	for {
		line, err := ch.line()
		if err != nil {
			return r, err
		}
		if bytes.Equal(line, []byte("{}")) {
			if err := ch.send("{}"); err != nil {
				return r, err
			}
			continue
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return r, fmt.Errorf("a torn frame: %q: %w", line, err)
		}
		return r, nil
	}
}

func (ch *chatter) line() (line []byte, err error) {
	if len(ch.rest) == 0 {
		f, err := wstest.ReadFrame(ch.in)
		if err != nil {
			return nil, err
		}
		if f.Header.OpCode == ws.OpClose {
			code, reason := ws.ParseCloseFrameData(f.Payload)
			return nil, fmt.Errorf("closed: %d %s", code, reason)
		}
		ch.rest = bytes.Split(f.Payload, []byte("\n"))
	}
	line, ch.rest = ch.rest[0], ch.rest[1:]
	return line, nil
}

// lastWord ends a crowd.
const lastWord = `"that was it"`

// listen counts what is wrong, up to the last word.
func (ch *chatter) listen() {
	for string(ch.heard) != lastWord {
		r, err := ch.read()
		ch.heard = r.Push.Pub.Data
		switch at := r.Push.Pub.Offset; {
		case err != nil:
			ch.closed++
			return
		case r.Push.Join != nil:
			ch.joined++
		case r.Push.Leave != nil:
			ch.parted++
		case at == 0: // an answer, or a notice
		case at <= ch.last:
			ch.twice++
		default:
			ch.lost += int(at - ch.last - 1)
			ch.last = at
		}
	}
}

func (ch *chatter) speak(room string, who int, c *crowd) {
	for n := 1; c.stop.Load() == 0; n++ {
		if ch.say(room, fmt.Sprintf(`{"text":"%d of %d"}`, n, who)) != nil {
			return
		}
		c.said.Add(1)
		time.Sleep(askEvery)
	}
}

func (ch *chatter) say(room, data string) error {
	return ch.send(fmt.Sprintf(`{"id":9,"publish":{"channel":%q,"data":%s}}`, room, data))
}

// end adds up when everybody has heard the last word, or does not hear it.
func (c *crowd) end(ts *testscript.TestScript) string {
	c.stop.Store(1)
	c.speakers.Wait()
	ts.Check(c.all[0].say(c.room, lastWord))
	for _, ch := range c.all {
		_ = ch.conn.SetReadDeadline(time.Now().Add(patience))
	}
	c.listeners.Wait()
	var sum seen
	for _, ch := range c.all {
		sum.closed, sum.lost, sum.twice = sum.closed+ch.closed, sum.lost+ch.lost, sum.twice+ch.twice
		sum.joined, sum.parted = sum.joined+ch.joined, sum.parted+ch.parted
	}
	ts.Logf("the clients have said %d messages", c.said.Load())
	return fmt.Sprintf("clients=%d closed=%d lost=%d twice=%d joins=%d leaves=%d", len(c.all), sum.closed, sum.lost, sum.twice, sum.joined, sum.parted)
}

// A frame may have several lines, a ping among them: each counts, and the ping is answered.
func TestChatterReadsEveryLineOfAFrame(t *testing.T) {
	server, client := net.Pipe()
	defer server.Close()
	defer client.Close()
	ch := &chatter{conn: client, in: bufio.NewReader(client)}
	said := []byte(`{"push":{"pub":{"offset":1}}}` + "\n{}\n" + `{"push":{"pub":{"offset":2}}}` + "\n" + `{"push":{"pub":{"offset":2,"data":` + lastWord + `}}}`)
	var wg sync.WaitGroup
	wg.Go(ch.listen)
	if err := wsutil.WriteServerText(server, said); err != nil {
		t.Fatal(err)
	}
	if pong, err := wsutil.ReadClientText(server); err != nil || string(pong) != "{}" {
		t.Errorf("the ping is answered with %q, %v", pong, err)
	}
	wg.Wait()
	if ch.last != 2 || ch.lost != 0 || ch.twice != 1 || ch.closed != 0 {
		t.Errorf("last %d, lost %d, twice %d, closed %d", ch.last, ch.lost, ch.twice, ch.closed)
	}
}
