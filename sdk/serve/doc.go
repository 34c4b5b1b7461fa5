// Package serve keeps a service's listeners and established connections when one process of it takes over from
// another. Nobody copies bytes for anybody: each version serves its clients itself, on the real sockets.
//
//	        keel ── holds the listening sockets for ever
//	         │ passes duplicates
//	   ┌─────┴──────────────┐
//	version 1 ══ pair ══ version 2        descriptors travel ahead, ends are told
//	   │                    ┊
//	   │ Arm                ┊             version 1 serves
//	   │ Park               ┊             no request is read, those in hand are finished
//	   │ Finish ──────────▶ ┊ Await       unread and unsent bytes, then "all are yours"
//	   ┊                    │ Arm         version 2 serves, on the same connections
//	   ┊ Await ◀─────────── │ Finish      and back, any number of times
//
// # Promises
//
//   - A listener is never closed, so connecting never fails, not even while nobody accepts.
//   - A request is answered by the process that read it. Park reads no further request and waits for those in hand; what
//     has arrived of the next ones travels, byte by byte as it came, and so does what a slow client has not taken yet.
//   - Park does all of its work or none: a version that cannot finish within its budget serves on as if nothing was.
//   - Only one of two paired processes has the connections, at any instant, whichever is slow, stopped or dead. That is
//     decided by one compare-and-swap in memory that both map.
//   - The pause does not grow with what is idle on the side that takes over: connections that have not spoken since they
//     came wait in one epoll instance, without goroutine or buffer. On the side that lets go it is about a microsecond
//     for each connection that has spoken; none of them is woken.
//
// # HTTP
//
// net/http is used as it is. A connection can be handed over between requests, before the first one, and while a
// request's header is incomplete. While a body is read or a handler runs it is in hand. Pipelined requests are given to
// net/http one by one, so those behind the one in hand travel.
//
// Handlers that take long learn of a park in two ways. The channel that [Parking] gives closes at once; a stream or a
// long poll that watches it ends early and keeps the switch short. And the request's context ends, with the cause
// [ErrParking]: at once for a request that has been running for longer than the whole budget, for the others when half
// of the budget is gone. A handler that needs less than half the budget is never disturbed.
//
// Not everything travels. The keys of a TLS connection are in crypto/tls and the state of an HTTP/2 connection is in
// net/http, and neither can be taken out. Such connections, and hijacked ones, are finished like others as far as their
// requests show, and hung up by [Group.Finish]; their clients connect again to the listener that never closed. An
// HTTP/2 client gets no GOAWAY, and a request it sent in the last instant may fail; so does one on TLS. Unary gRPC in
// clear text travels: package grpc. Terminate all else in front of a service that must not lose any. Trailing data of a
// client that breaks HTTP's framing, so that this package and net/http see different requests, makes a connection one that
// does not travel either.
//
// The net.Conn that hooks and hijackers see is a wrapper, not a *net.TCPConn. A connection that has come from another
// process reaches net/http, and the ConnState and ConnContext hooks, with its first byte; until then IdleTimeout is kept
// for it here. One that goes is closed as far as those hooks can see. A read deadline does not travel.
//
// # Streams
//
// For other protocols [Group.Stream] runs a handler for each connection. It reads with [Conn.ReadMore], which takes
// what is left over from earlier reads and lets a waiting connection travel without being woken, or with [Conn.Read]
// and [Conn.Handover]. A small session ([Conn.SetSession]) travels with the connection, and so do bytes that the next
// handler is to read again ([Conn.Before]). [Conn.Push] sends a client what it has not asked for, and [Group.StreamEarly]
// lets the next version do so before the client speaks. Packages resp and grpc are such handlers.
//
// # Events
//
// Where most clients are silent most of the time [Group.Events] does without the goroutine: a connection begins as above,
// becomes an [EventConn] by [Conn.ToEvents], and is looked at when something comes from its client. What is pushed to many is
// sent by a few goroutines that need no turn of the receivers'. A handover moves such a connection without opening anything:
// that is a few microseconds each. Package ws is such a handler.
//
// # The meter
//
// Each request is counted when it is answered, with how long it took and whether it failed: [Meter]. By that a new
// version is judged in its probation. HTTP requests fail with a status of 500 or above and with a panic, RESP commands with
// WriteFailure; a handler of another protocol records its own. Hijacked connections are not counted.
//
// # When things break
//
//   - The serving process dies: its connections end, at once and for the client to see, since a request may have been
//     half read; the standby closes its duplicates. Arm then serves new connections.
//   - The standby dies: the serving process goes on, alone.
//   - The successor dies, or fails, between Finish and its Arm: nothing was read there, so Arm at the old process takes
//     everything back. If both arm, the second one gets [ErrServedElsewhere].
//   - Finish finds no living peer: the group stays parked. Arm takes everything back; if it does not come within twice
//     the time limit, the connections are hung up, and their clients turn to whoever serves.
//   - A service stops: [Group.Hangup] sends the clients of streams what is left to send and their [Conn.Farewell]; clients of
//     HTTP see their connections close between requests.
//   - A client leaves during a handover: whoever serves next sees it.
//   - Out of descriptors: accepting pauses and is tried again; a pair that loses descriptors for lack of room ends, so
//     the switch fails and the serving process goes on.
//   - Someone makes a listening socket blocking, by passing it on with File().Fd(): it is made non-blocking again before
//     each accept. Should an accept hang in the kernel nevertheless, Park fails with [ErrBusy].
//
// A group belongs to its process and ends with it.
package serve
