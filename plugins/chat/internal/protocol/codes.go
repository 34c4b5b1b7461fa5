package protocol

import (
	"context"
	"errors"

	"github.com/centrifugal/protocol"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk/otp"
)

// refused is why a command is not done.
type refused struct {
	code      uint32
	text      string
	temporary bool // it may be tried again
}

func (r refused) Error() string { return r.text }

func (r refused) reply() *protocol.Error {
	return &protocol.Error{Code: r.code, Message: r.text, Temporary: r.temporary}
}

// Errors of commands, by the numbers of the protocol.
var (
	errInternal   = refused{100, "internal server error", true}
	errUnknown    = refused{102, "unknown channel", false}
	errPermission = refused{103, "permission denied", false}
	errMethod     = refused{104, "method not found", false}
	errAlready    = refused{105, "already subscribed", false}
	errLimit      = refused{106, "limit exceeded", false}
	errBad        = refused{107, "bad request", false}
	errTokenOld   = refused{109, "token expired", false}
	errTooMany    = refused{111, "too many requests", true}
	errPosition   = refused{112, "unrecoverable position", false}
)

// codeOf is what a client is told of an error. failed says that it is the service's own fault.
func codeOf(err error) (r refused, failed bool) {
	var own refused
	var down *room.DownError
	var pace *room.PaceError
	var ruled *room.SanctionError
	switch {
	case errors.As(err, &own):
		return own, own == errInternal
	case errors.Is(err, room.ErrNoRoom):
		return errUnknown, false
	case errors.Is(err, room.ErrNotYours):
		return errPermission, false
	case errors.As(err, &ruled):
		return refused{errPermission.code, err.Error(), false}, false
	case errors.As(err, &pace):
		return refused{errTooMany.code, err.Error(), true}, false
	case errors.Is(err, room.ErrNoEntry), errors.Is(err, room.ErrDeleted), errors.Is(err, room.ErrReserved), errors.Is(err, room.ErrData):
		return refused{errBad.code, err.Error(), false}, false
	case errors.Is(err, otp.ErrOverloaded):
		return errTooMany, false
	case errors.As(err, &down):
		return refused{108, down.Error(), false}, false
	case errors.Is(err, context.DeadlineExceeded):
		return errTooMany, true
	}
	return errInternal, true
}

// farewell is why a connection is closed. From 3500 on, but for 4000 to 4499, clients do not come back by themselves.
type farewell struct {
	code   int
	reason string
}

func (f *farewell) Error() string { return f.reason }

var (
	byeStop    = &farewell{3001, "shutdown"}
	byeExpired = &farewell{3005, "connection expired"}
	byeSlow    = &farewell{3008, "slow"}
	byeNoPong  = &farewell{3012, "no pong"}
	byeToken   = &farewell{3500, "invalid token"}
	byeBad     = &farewell{3501, "bad request"}
	byeStale   = &farewell{3502, "stale"}
)

// overs is what clients are told when a subscription ends. From 2500 on they subscribe again by themselves, and are given what
// they have missed.
var overs = map[room.Exit]*protocol.Unsubscribe{
	room.Lagged:  {Code: 2500, Reason: "insufficient state"},
	room.Removed: {Code: 2000, Reason: "the room was removed"},
	room.Kicked:  {Code: 2000, Reason: "kicked"},
	room.Banned:  {Code: 2000, Reason: "banned"},
}
