package crowd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/centrifugal/protocol"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/theseusd/theseus/sdk/serve/ws/wstest"
)

// client is in a room, over one connection after the other.
type client struct {
	crowd    *Crowd
	number   int
	user     string
	room     string
	speakers int // in the room
	watches  bool

	in     *bufio.Reader
	rest   []*protocol.Reply // was read, and is not heard yet
	forget func() bool       // the connection, when the crowd leaves
	asked  uint32            // the number of the last question

	epoch string
	last  uint64 // offset
	gaps  int    // offsets that were not heard
	heard map[int]*numbers
	lasts int // last words
	tally Tally
	ended chan struct{}

	out  sync.Mutex // what follows, and one write at a time
	conn net.Conn
	speech
}

// answerTime is how long is waited for an answer on the way into a room.
const answerTime = 5 * time.Second

// connect opens a connection and enters the room.
func (m *client) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	conn, in, err := m.crowd.dial(ctx)
	if err != nil {
		return err
	}
	m.use(conn, in)
	_ = conn.SetDeadline(time.Now().Add(answerTime))
	if err := m.enter(); err != nil {
		return errors.Join(err, conn.Close())
	}
	_ = conn.SetDeadline(time.Time{})
	m.resume()
	return nil
}

// use takes a connection for the one before it.
func (m *client) use(conn net.Conn, in *bufio.Reader) {
	if m.forget != nil {
		m.forget()
	}
	m.forget = context.AfterFunc(m.crowd.ctx, func() { _ = conn.Close() })
	m.in, m.rest = in, nil
	m.out.Lock()
	m.conn = conn
	m.out.Unlock()
}

func (m *client) enter() error {
	who := fmt.Appendf(nil, `{"user":%q}`, m.user)
	if _, err := m.ask(&protocol.Command{Connect: &protocol.ConnectRequest{Data: who}}); err != nil {
		return err
	}
	q := &protocol.SubscribeRequest{Channel: m.room, JoinLeave: m.watches}
	q.Recover, q.Epoch, q.Offset = m.epoch != "", m.epoch, m.last
	r, err := m.ask(&protocol.Command{Subscribe: q})
	if err != nil {
		return err
	}
	return m.arrive(r.Subscribe)
}

// ask returns the answer to a command. What comes before it is heard afterwards.
func (m *client) ask(cmd *protocol.Command) (*protocol.Reply, error) {
	m.asked++
	cmd.Id = m.asked % firstWord
	if err := m.send(cmd); err != nil {
		return nil, err
	}
	var before []*protocol.Reply
	for {
		r, err := m.next()
		switch {
		case err != nil:
			return nil, err
		case r.Id != cmd.Id:
			before = append(before, r)
		case r.Error != nil:
			return nil, refused{r.Error}
		default:
			m.rest = append(before, m.rest...)
			return r, nil
		}
	}
}

// refused is the answer to what was not done.
type refused struct{ why *protocol.Error }

func (r refused) Error() string { return fmt.Sprintf("refused with %d: %s", r.why.Code, r.why.Message) }

// send gives a command.
func (m *client) send(cmd *protocol.Command) error {
	m.out.Lock()
	defer m.out.Unlock()
	return m.write(cmd)
}

func (m *client) write(cmd *protocol.Command) error {
	b, err := protocol.NewJSONCommandEncoder().Encode(cmd)
	if err != nil {
		return err
	}
	return wsutil.WriteClientText(m.conn, b)
}

// next is the next answer or push.
func (m *client) next() (*protocol.Reply, error) {
	for len(m.rest) == 0 {
		if err := m.read(); err != nil {
			return nil, err
		}
	}
	r := m.rest[0]
	m.rest = m.rest[1:]
	return r, nil
}

// read reads a frame, and answers pings.
func (m *client) read() error {
	f, err := wstest.ReadFrame(m.in)
	switch {
	case err != nil:
		return err
	case f.Header.OpCode == ws.OpClose:
		code, reason := ws.ParseCloseFrameData(f.Payload)
		return fmt.Errorf("closed with %d %s", code, reason)
	case f.Header.OpCode != ws.OpText || !f.Header.Fin:
		return fmt.Errorf("a frame of the wrong kind: %+v", f.Header)
	}
	for d := protocol.NewJSONReplyDecoder(f.Payload); ; {
		r, err := d.Decode()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("a torn frame: %.100q: %w", f.Payload, err)
		case r.Id == 0 && r.Push == nil && r.Error == nil:
			err = m.send(&protocol.Command{}) // a ping
		default:
			m.rest = append(m.rest, r)
		}
		if err != nil {
			return err
		}
	}
}
