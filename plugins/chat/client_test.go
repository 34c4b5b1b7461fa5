package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/centrifugal/protocol"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/serve/ws/wstest"
)

// client speaks the protocol by hand.
type client struct {
	t    testing.TB
	nc   net.Conn
	r    *bufio.Reader
	kind protocol.Type
	got  []*protocol.Reply // of a frame, not looked at yet
	kept []*protocol.Reply // pushes that came before an answer
	last uint32
}

func connect(t testing.TB, i *sdktest.Instance, kind protocol.Type) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	d := ws.Dialer{}
	if kind == protocol.TypeProtobuf {
		d.Protocols = []string{"centrifuge-protobuf"}
	}
	nc, r, _, err := d.Dial(ctx, "ws://"+i.Addr("clients")+"/connection/websocket")
	if err != nil {
		t.Fatal(err)
	}
	if r == nil {
		r = bufio.NewReader(nc)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	return &client{t: t, nc: nc, r: r, kind: kind}
}

// as is a client that has connected with a token.
func as(t testing.TB, i *sdktest.Instance, kind protocol.Type, token string) *client {
	t.Helper()
	c := connect(t, i, kind)
	if r := c.ask(&protocol.Command{Connect: &protocol.ConnectRequest{Token: token}}); r.Connect == nil || r.Connect.Client == "" {
		t.Fatalf("connect: %v", r)
	}
	return c
}

func (c *client) send(cmds ...*protocol.Command) {
	c.t.Helper()
	var b []byte
	for _, cmd := range cmds {
		var one []byte
		var err error
		if c.kind == protocol.TypeProtobuf {
			one, err = protocol.NewProtobufCommandEncoder().Encode(cmd)
		} else {
			one, err = protocol.NewJSONCommandEncoder().Encode(cmd)
			one = append(one, '\n')
		}
		if err != nil {
			c.t.Fatal(err)
		}
		b = append(b, one...)
	}
	op := ws.OpText
	if c.kind == protocol.TypeProtobuf {
		op = ws.OpBinary
	}
	c.write(op, bytes.TrimSuffix(b, []byte("\n")))
}

func (c *client) write(op ws.OpCode, b []byte) {
	c.t.Helper()
	if err := wsutil.WriteClientMessage(c.nc, op, b); err != nil {
		c.t.Fatal(err)
	}
}

// next is the next reply or push.
func (c *client) next() (*protocol.Reply, error) {
	if len(c.kept) > 0 {
		r := c.kept[0]
		c.kept = c.kept[1:]
		return r, nil
	}
	return c.read()
}

func (c *client) read() (*protocol.Reply, error) {
	for len(c.got) == 0 {
		f, err := wstest.ReadFrame(c.r)
		if err != nil {
			return nil, err
		}
		if f.Header.OpCode == ws.OpClose {
			code, reason := ws.ParseCloseFrameData(f.Payload)
			return nil, fmt.Errorf("closed %d %s", code, reason)
		}
		if c.got, err = decode(c.kind, f.Payload); err != nil {
			return nil, err
		}
	}
	r := c.got[0]
	c.got = c.got[1:]
	return r, nil
}

func decode(kind protocol.Type, b []byte) (all []*protocol.Reply, err error) {
	var d protocol.ReplyDecoder = protocol.NewJSONReplyDecoder(b)
	if kind == protocol.TypeProtobuf {
		d = protocol.NewProtobufReplyDecoder(b)
	}
	for {
		r, err := d.Decode()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", b, err)
		}
		all = append(all, r)
	}
}

func (c *client) must() *protocol.Reply {
	c.t.Helper()
	r, err := c.next()
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// ask gives a command and returns its answer; pushes before it are kept.
func (c *client) ask(cmd *protocol.Command) *protocol.Reply {
	c.t.Helper()
	c.last++
	cmd.Id = c.last
	c.send(cmd)
	for {
		r, err := c.read()
		if err != nil {
			c.t.Fatal(err)
		}
		if r.Id == c.last {
			return r
		}
		c.kept = append(c.kept, r)
	}
}

func (c *client) subscribe(name string) *protocol.Reply {
	c.t.Helper()
	return c.ask(&protocol.Command{Subscribe: &protocol.SubscribeRequest{Channel: name, JoinLeave: true}})
}

func (c *client) publish(name, data string) *protocol.Reply {
	c.t.Helper()
	return c.ask(&protocol.Command{Publish: &protocol.PublishRequest{Channel: name, Data: []byte(data)}})
}

func (c *client) rpc(method, data string) *protocol.Reply {
	c.t.Helper()
	return c.ask(&protocol.Command{Rpc: &protocol.RPCRequest{Method: method, Data: []byte(data)}})
}

// hears expects a publication.
func (c *client) hears(offset uint64, data string) {
	c.t.Helper()
	for {
		r := c.must()
		if r.Push == nil || r.Push.Pub == nil {
			continue
		}
		if r.Push.Pub.Offset != offset || data != "" && string(r.Push.Pub.Data) != data {
			c.t.Fatalf("got %d %s, want %d %s", r.Push.Pub.Offset, r.Push.Pub.Data, offset, data)
		}
		return
	}
}

// ends expects that the connection is closed.
func (c *client) ends(code int) {
	c.t.Helper()
	for {
		if _, err := c.next(); err != nil {
			if !strings.HasPrefix(err.Error(), fmt.Sprintf("closed %d ", code)) {
				c.t.Fatalf("got %v, want a close with %d", err, code)
			}
			return
		}
	}
}

var kinds = []protocol.Type{protocol.TypeJSON, protocol.TypeProtobuf}

const tokens = `{"tokens": {"token-of-ada": "ada", "token-of-bob": "bob"}}`

func startWithRoom(t testing.TB, config string) *sdktest.Instance {
	t.Helper()
	i := startChat(t, sdktest.Options{Config: config})
	i.Verb("create", "room", "general")
	return i
}

// drain reads publications until the subscription ends, and returns the offset of the last.
func (c *client) drain() (last uint64, err error) {
	for {
		r, err := c.next()
		switch {
		case err != nil:
			return last, err
		case r.Push == nil:
		case r.Push.Unsubscribe != nil:
			if r.Push.Unsubscribe.Code != 2500 {
				return last, fmt.Errorf("the subscription ended with %d", r.Push.Unsubscribe.Code)
			}
			return last, nil
		case r.Push.Pub != nil:
			if r.Push.Pub.Offset != last+1 {
				return last, fmt.Errorf("message %d after %d", r.Push.Pub.Offset, last)
			}
			last = r.Push.Pub.Offset
		}
	}
}
