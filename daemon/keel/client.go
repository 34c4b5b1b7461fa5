package keel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLost says that the keel is gone. A daemon then stops what it runs and ends.
var ErrLost = errors.New("the keel is gone")

// Client is the daemon's end. Its methods may be called by several goroutines.
type Client struct {
	conn     *net.UnixConn
	lost     chan struct{}
	patience time.Duration // for an answer that the keel has at hand

	mu      sync.Mutex // of all below
	last    uint64
	waiting map[uint64]chan answered
}

type answered struct {
	reply
	fd int // -1 if none came
}

// Listener is a listening socket of the keel's, duplicated.
type Listener struct {
	FD   int    // closed on exec; not in the runtime's poller
	Addr string // with the port that the kernel chose
}

// Close gives the duplicate up. The socket goes on listening.
func (l *Listener) Close() error { return unix.Close(l.FD) }

// Connect takes over the socket to the keel that a daemon is born with, [FD].
func Connect(fd int) (*Client, error) {
	unix.CloseOnExec(fd)
	conn, err := adopt(fd)
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn, lost: make(chan struct{}), patience: lookupTime + writeTimeout, waiting: map[uint64]chan answered{}}
	go c.receive()
	return c, nil
}

// PID is the keel's process.
func (c *Client) PID() int { return os.Getppid() }

// Lost is closed when the keel is gone.
func (c *Client) Lost() <-chan struct{} { return c.lost }

// Listen has the keel open the listener, or finds it open, and returns a duplicate that the caller closes.
func (c *Client) Listen(ctx context.Context, a Address) (*Listener, error) {
	r, err := c.call(ctx, request{Op: opListen, Listen: &a})
	if err != nil {
		return nil, err
	}
	if r.fd < 0 {
		return nil, fmt.Errorf("listener %s: no descriptor came", a)
	}
	return &Listener{FD: r.fd, Addr: r.Real}, nil
}

// Retain has the keel close all listeners of the owner but those named.
func (c *Client) Retain(ctx context.Context, owner string, named []Address) error {
	_, err := c.call(ctx, request{Op: opRetain, Owner: owner, Retain: named})
	return err
}

// Ready tells the keel, and by it systemd, that all runs. first: no daemon of this keel was ready before.
func (c *Client) Ready(ctx context.Context) (first bool, err error) {
	r, err := c.call(ctx, request{Op: opReady})
	return r.First, err
}

// Replace has the keel start a program beside this daemon, which runs from. It returns nil when that one is prepared:
// this one is then to let go of all it has and to end, soon, for the keel ends it otherwise. After an error it stays.
func (c *Client) Replace(ctx context.Context, by, from Program) error {
	_, err := c.call(ctx, request{Op: opReplace, By: &by, From: &from})
	return err
}

// Prepared tells the keel that this daemon could take over, and returns nil when it is to do so: the one before it
// is dead by then.
func (c *Client) Prepared(ctx context.Context) error {
	_, err := c.call(ctx, request{Op: opPrepared})
	return err
}

// Refused tells the keel why this daemon cannot take over.
func (c *Client) Refused(why error) { _ = send(c.conn, request{Op: opRefused, Error: why.Error()}, -1) }

// errStopped is why an answer does not come that the keel has at hand.
var errStopped = errors.New("the keel does not answer: is it stopped?")

// Daemons tells which programs the keel starts.
func (c *Client) Daemons(ctx context.Context) (Daemons, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.patience, errStopped)
	defer cancel()
	r, err := c.call(ctx, request{Op: opDaemons})
	if err != nil || r.Daemons == nil {
		return Daemons{}, err
	}
	return *r.Daemons, nil
}

// beatEvery leaves the keel ten beats to miss before it acts.
const beatEvery = time.Second

// Beat tells the keel every second that the daemon lives, until the context ends or the keel is gone. Before each
// beat it calls alive; a daemon in which that hangs is replaced.
func (c *Client) Beat(ctx context.Context, alive func()) error {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		alive()
		if err := c.send(request{Op: opBeat}); errors.Is(err, ErrLost) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.lost:
			return ErrLost
		case <-tick.C:
		}
	}
}

func (c *Client) call(ctx context.Context, req request) (answered, error) {
	ch := c.expect(&req)
	defer c.forget(req.ID, ch)
	if err := c.send(req); err != nil {
		return answered{}, err
	}
	select {
	case r := <-ch:
		if r.Error != "" {
			return r, errors.New(r.Error)
		}
		return r, nil
	case <-c.lost:
		return answered{}, ErrLost
	case <-ctx.Done():
		return answered{}, context.Cause(ctx)
	}
}

// send is ErrLost only if the keel is gone: one that is stopped for a while reads nothing.
func (c *Client) send(req request) error {
	err := send(c.conn, req, -1)
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, errTooLong) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrLost, err)
}

func (c *Client) expect(req *request) chan answered {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	req.ID = c.last
	ch := make(chan answered, 1)
	c.waiting[req.ID] = ch
	return ch
}

// forget also closes the descriptor of an answer that came too late.
func (c *Client) forget(id uint64, ch chan answered) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, id)
	select {
	case late := <-ch:
		closeDescriptor(late.fd)
	default:
	}
}

func (c *Client) receive() {
	defer close(c.lost)
	buf, oob := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, _, _, err := c.conn.ReadMsgUnix(buf, oob)
		if err != nil {
			return
		}
		a := answered{fd: descriptor(oob[:oobn])}
		if err := json.Unmarshal(buf[:n], &a.reply); err != nil || !c.deliver(a) {
			closeDescriptor(a.fd)
		}
	}
}

// deliver reports whether somebody still waits.
func (c *Client) deliver(a answered) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch, ok := c.waiting[a.ID]
	if ok {
		delete(c.waiting, a.ID)
		ch <- a
	}
	return ok
}

// descriptor finds the one descriptor of a packet, or -1.
func descriptor(oob []byte) int {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(msgs) == 0 {
		return -1
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) == 0 {
		return -1
	}
	return fds[0]
}

func closeDescriptor(fd int) {
	if fd >= 0 {
		unix.Close(fd)
	}
}
