package drill

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/theseusd/theseus/sdk/serve/ws/wstest"
)

const sayEvery = time.Second // in each room

// crowd is clients of the chat, each in a room. In each room one speaks.
type crowd struct {
	speaking            context.CancelFunc
	ctx                 context.Context
	listeners, speakers sync.WaitGroup
	late                atomic.Pointer[delays]
	joins               atomic.Int64
	conns               []net.Conn

	mu  sync.Mutex
	sum tally
}

// tally is what clients have seen.
type tally struct {
	heard, lost, twice, closed, left int
	first                            error // that closed one
}

func newCrowd() *crowd {
	c := new(crowd)
	c.ctx, c.speaking = context.WithCancel(context.Background())
	c.late.Store(new(delays))
	return c
}

// member is one client.
type member struct {
	conn net.Conn
	in   *bufio.Reader
	out  sync.Mutex // one write at a time
	room string
	last uint64 // offset
}

// enter connects a client, and returns when it is in its room.
func (c *crowd) enter(ctx context.Context, addr, room string, speaks bool) error {
	conn, in, _, err := ws.Dial(ctx, "ws://"+addr+"/connection/websocket")
	if err != nil {
		return err
	}
	if in == nil {
		in = bufio.NewReaderSize(conn, 1024)
	}
	m := &member{conn: conn, in: in, room: room}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	for id, say := range []string{`"connect":{}`, fmt.Sprintf(`"subscribe":{"channel":%q,"join_leave":%t}`, room, speaks)} {
		if err := m.say(fmt.Sprintf(`{"id":%d,%s}`, id+1, say)); err != nil {
			return errors.Join(err, conn.Close())
		}
		r, err := m.hear()
		if err == nil && (len(r) == 0 || r[0].Error != nil) {
			err = fmt.Errorf("refused: %+v", r)
		}
		if err != nil {
			return errors.Join(err, conn.Close())
		}
		m.last = r[0].Subscribe.Offset
	}
	_ = conn.SetReadDeadline(time.Time{})
	c.conns = append(c.conns, conn)
	c.listeners.Go(func() { c.listen(m) })
	if speaks {
		c.speakers.Go(func() { c.speak(m) })
	}
	return nil
}

func (m *member) say(cmd string) error {
	m.out.Lock()
	defer m.out.Unlock()
	return wsutil.WriteClientText(m.conn, []byte(cmd))
}

// said is what of an answer or a push is looked at.
type said struct {
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

// words are the data of a message: when it was said, and whether it is the last one.
type words struct {
	At   int64 `json:"at"`
	Last bool  `json:"last"`
}

// hear reads a frame, and answers a ping.
func (m *member) hear() (list []said, err error) {
	f, err := wstest.ReadFrame(m.in)
	if err != nil {
		return nil, err
	}
	if f.Header.OpCode == ws.OpClose {
		code, reason := ws.ParseCloseFrameData(f.Payload)
		return nil, fmt.Errorf("closed with %d %s", code, reason)
	}
	for line := range bytes.SplitSeq(f.Payload, []byte("\n")) {
		if string(line) == "{}" {
			err = m.say("{}")
			continue
		}
		var s said
		if e := json.Unmarshal(line, &s); e != nil {
			return list, fmt.Errorf("a torn frame: %.100q: %w", f.Payload, e)
		}
		list = append(list, s)
	}
	return list, err
}

// listen notes what is wrong, up to the last word of the room.
func (c *crowd) listen(m *member) {
	defer m.conn.Close() //nolint:errcheck // it has served
	var t tally
	for over := false; !over; {
		list, err := m.hear()
		if err != nil {
			t.closed, t.first = 1, err
			break
		}
		for _, s := range list {
			over = c.note(m, s, &t) || over
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sum.add(t)
}

func (c *crowd) note(m *member, s said, t *tally) (over bool) {
	switch at := s.Push.Pub.Offset; {
	case s.Push.Join != nil:
		c.joins.Add(1)
	case s.Push.Leave != nil:
		t.left++
	case at == 0: // an answer, or a notice
	case at <= m.last:
		t.twice++
	default:
		t.lost += int(at - m.last - 1)
		m.last = at
		t.heard++
		var w words
		_ = json.Unmarshal(s.Push.Pub.Data, &w) // its own words
		c.late.Load().add(time.Duration(time.Now().UnixNano() - w.At))
		return w.Last
	}
	return false
}

func (t *tally) add(o tally) {
	t.heard, t.lost, t.twice, t.closed = t.heard+o.heard, t.lost+o.lost, t.twice+o.twice, t.closed+o.closed
	t.left += o.left
	if t.first == nil {
		t.first = o.first
	}
}

// speak says something until it is to end.
func (c *crowd) speak(m *member) {
	tick := time.NewTicker(sayEvery)
	defer tick.Stop()
	for last := false; !last; {
		select {
		case <-tick.C:
		case <-c.ctx.Done():
			last = true
		}
		b, _ := json.Marshal(words{time.Now().UnixNano(), last})
		if m.say(fmt.Sprintf(`{"id":9,"publish":{"channel":%q,"data":%s}}`, m.room, b)) != nil {
			return
		}
	}
}

// during is how late messages were while something was done.
func (c *crowd) during(do func() error) *delays {
	d := new(delays)
	c.late.Store(d)
	d.err = do()
	return d
}

// end adds up when everybody has heard the last word of its room, or does not hear it.
func (c *crowd) end() tally {
	c.speaking()
	c.speakers.Wait()
	for _, conn := range c.conns {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
	}
	c.listeners.Wait()
	return c.sum
}

// delays are times up to ten seconds, in steps of 0.1 ms.
type delays struct {
	counts [100_000]atomic.Int32
	err    error
}

const delayStep = 100 * time.Microsecond

func (d *delays) add(t time.Duration) {
	d.counts[min(max(t/delayStep, 0), time.Duration(len(d.counts)-1))].Add(1)
}

// quantile is the end of the step in which that part of all is reached; 0 if there are none.
func (d *delays) quantile(part float64) time.Duration {
	all := int64(0)
	for i := range d.counts {
		all += int64(d.counts[i].Load())
	}
	want, sum := float64(all)*part, int64(0)
	for i := range d.counts {
		if sum += int64(d.counts[i].Load()); sum > 0 && float64(sum) >= want {
			return time.Duration(i+1) * delayStep
		}
	}
	return 0
}
