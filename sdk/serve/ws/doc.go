// Package ws serves WebSockets on connections that outlive a process.
//
//	client ── HTTP upgrade ──▶ serve.Conn ─▶ Admit ─▶ Open
//	       ── frames ─────────▶             ─▶ Message      whole messages, one after another
//	       ◀── frames ────────  Conn.Send  ◀── any goroutine, never waits
//	       ── any other request ▶ Server.HTTP, by net/http: a page, an API on the same address
//
// Frames are read and written by gobwas/ws, which needs no object for a connection: so one can be adopted in mid-stream. A
// handover takes place between two messages. The part of a message that has arrived, what the client has not taken yet and the
// session ([Conn.SetSession]) travel with the connection; the client sees neither a close nor a torn frame. A connection that
// is open is known to the next version before that reads anything ([Server.Resume]), so it misses nothing that is sent to it.
//
// # What is refused
//
//   - A page of another origin, with 403, unless [Server.Origins] names it; a client that does not finish its request within
//     [HandshakeLimit], or whose header is larger than [MaxHeader].
//   - Frames that break RFC 6455 (1002), text that is no UTF-8 (1007), messages larger than [Server.MaxMessage] (1009): that is
//     seen at the header of a frame, before its bytes are waited for.
//   - A client that does not take what it is sent: when more than [Server.MaxQueue] bytes wait, Send fails with
//     [serve.ErrSlow] and sends nothing. What then, the service decides. A client that does not take its answers is not read
//     either.
//
// [Conn.Close] sends a close frame, and hangs up when the client has answered it or after [CloseLimit]. A service that stops
// closes with its [Farewell]. Pings are answered.
// Extensions, such as compression, are not spoken. A message counts as a request for the meter.
package ws
