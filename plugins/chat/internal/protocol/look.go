package protocol

import (
	"context"
	"encoding/json"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
)

// history answers with messages from a position on, or with the position alone if the limit is 0.
func (c *client) history(q *protocol.HistoryRequest) (*protocol.HistoryResult, error) {
	if c.in(q.Channel) == nil {
		return nil, errPermission
	}
	r, err := c.s.rooms.Find(q.Channel)
	if err != nil {
		return nil, err
	}
	answer := &protocol.HistoryResult{Epoch: r.Epoch, Offset: r.Last}
	if q.Since != nil && q.Since.Epoch != "" && q.Since.Epoch != r.Epoch {
		return nil, errPosition
	}
	var since *uint64
	if q.Since != nil {
		since = &q.Since.Offset
	}
	from, to, some := r.Span(since, q.Reverse)
	if !some || q.Limit == 0 {
		return answer, nil
	}
	list, err := c.s.rooms.Range(q.Channel, from, to, room.Limit{Count: most(q.Limit), Bytes: c.page()})
	answer.Publications = publications(list)
	return answer, err
}

// page is how many bytes of messages the client may be given in one answer: with many of them, each leaves room for the next.
func (c *client) page() int { return max(c.conn.Free()/2, 1) }

func most(asked int32) int {
	if asked < 0 || asked > maxHistory {
		return maxHistory
	}
	return int(asked)
}

// presence is who is in a room that the client is in as well.
func (c *client) presence(name string) (*protocol.PresenceResult, error) {
	if c.in(name) == nil {
		return nil, errPermission
	}
	all := map[string]*protocol.ClientInfo{}
	for _, w := range c.s.rooms.Here(name) {
		all[w.Client] = info(w)
	}
	return &protocol.PresenceResult{Presence: all}, nil
}

func (c *client) presenceStats(name string) (*protocol.PresenceStatsResult, error) {
	if c.in(name) == nil {
		return nil, errPermission
	}
	clients, users := c.s.rooms.Crowd(name)
	return &protocol.PresenceStatsResult{NumClients: uint32(clients), NumUsers: uint32(users)}, nil
}

// asked is what the methods of rpc are asked with.
type asked struct {
	Room   string          `json:"room"`
	Offset uint64          `json:"offset"`
	Data   json.RawMessage `json:"data"`
}

func (c *client) rpc(ctx context.Context, q *protocol.RPCRequest) (*protocol.RPCResult, error) {
	var a asked
	if len(q.Data) > 0 && json.Unmarshal(q.Data, &a) != nil {
		return nil, errBad
	}
	var v any
	var err error
	switch {
	case q.Method == "rooms":
		v, err = c.s.rooms.Names()
	case q.Method != "edit" && q.Method != "delete":
		return nil, errMethod
	case c.in(a.Room) == nil:
		return nil, errPermission
	case q.Method == "edit" && len(a.Data) == 0:
		return nil, errBad
	default:
		v, err = c.alter(ctx, q.Method, a)
	}
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(v)
	return &protocol.RPCResult{Data: b}, err
}

// alter changes or deletes a message of the client's user.
func (c *client) alter(ctx context.Context, method string, a asked) (room.Posted, error) {
	if err := c.mayNow(ctx); err != nil {
		return room.Posted{}, err
	}
	if method == "delete" {
		a.Data = nil
	}
	return c.s.rooms.Alter(ctx, a.Room, room.Alter{Offset: a.Offset, User: c.user, Data: a.Data})
}
