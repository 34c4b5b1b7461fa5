// Package resp serves the Redis protocol on connections that outlive a process.
//
//	client ── commands ─▶ serve.Conn ─▶ parser ─▶ Handler
//	       ◀─ replies ───────────────── Conn ◀──────┘
//
// RESP2 is spoken until a handler calls [Conn.SetProto] with 3 (the answer to HELLO 3). Commands may be pipelined, or
// typed by a person; the limits on their size and the words of protocol errors are those of Redis, and a protocol error
// ends the connection after its answer. QUIT is answered here.
//
// A handover takes place between two commands. What has arrived of the next ones, what the client has not taken of the
// replies, the protocol's version and the handler's session ([Conn.SetSession]) travel with the connection; the client
// does not notice. Only the command in hand is waited for: one that blocks watches [Conn.Parking].
//
// A service that pushes messages is a [Server]: a connection with [Conn.Pushing] is known to the next version before that
// answers its first command, so no message is lost in between, and [Conn.Push] never waits for a client. Commands that
// are only remembered until a later one, as in a transaction, go along with [Conn.Hold].
//
// A client that does not read its replies is waited for, and nobody else is; its connection is handed over like others. A
// service that stops sends what was left to send, within a limited time, and closes.
package resp
