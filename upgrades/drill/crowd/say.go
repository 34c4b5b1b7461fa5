package crowd

import (
	"context"
	"errors"
	"fmt"

	"github.com/centrifugal/protocol"
)

// tooMany is the number of a refusal.
const tooMany = 111

// Say has a user say so many messages, one after the other, and counts those that were taken; the others were too many.
func Say(ctx context.Context, addr, room, user string, n int) (taken int, err error) {
	c := newCrowd(Options{Addr: addr, Rooms: []string{room}})
	defer c.leave(nil)
	m := c.client(0)
	m.user = user
	if err := m.connect(ctx); err != nil {
		return 0, err
	}
	for i := range n {
		data := fmt.Appendf(nil, `{"text":"%d of %d"}`, i+1, n)
		_, err := m.ask(&protocol.Command{Publish: &protocol.PublishRequest{Channel: room, Data: data}})
		var no refused
		switch {
		case err == nil:
			taken++
		case !errors.As(err, &no) || no.why.Code != tooMany:
			return taken, err
		}
	}
	return taken, nil
}
