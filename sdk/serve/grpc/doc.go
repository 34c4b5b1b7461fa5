// Package grpc answers unary gRPC on connections that outlive a process. A [Server] takes the services that protoc-gen-go-grpc
// generates, and clients in any language talk to it, in clear text. Handlers find in their context what grpc-go's own server
// gives them: the deadline, metadata, the peer's address, and grpc.SetHeader, SendHeader, SetTrailer and Method; the details of
// a status arrive too.
//
// grpc-go's own server keeps a connection's state where nobody can take it out, so an upgrade would cut every client. This
// one is a handler for [serve.Group.Stream]: what the next version has to know of an HTTP/2 connection is a few numbers, since
// the client is told to compress headers without a table, and travels in front of the bytes that were read and not used.
// A request of which only a part has come travels too, and so does an answer that a slow client has not taken yet.
//
// # Promises
//
//   - A connection is not closed by an upgrade or a rollback, and its client sees no GOAWAY.
//   - The calls of one connection are answered one by one, in the order in which they are complete: a handler must be
//     quick. Streaming methods and compressed messages answer Unimplemented; there are no interceptors, and a client that
//     cancels a call is heard only after its handler.
//   - What is kept of a client's bytes is bounded: [MaxMessage] for a message, 64 KiB for the headers of a call, as HTTP/2
//     counts them, [MaxStreams] calls under way and 4 MiB of all that for a connection. A client that breaks the protocol gets
//     a GOAWAY that says why, and nobody else notices.
//   - A handler that panics is a call that failed with Internal.
package grpc
