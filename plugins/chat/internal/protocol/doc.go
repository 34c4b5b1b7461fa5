// Package protocol speaks the client protocol of Centrifuge, as JSON and as protobuf, so that its official clients work.
//
//	connect ─▶ subscribe ─▶ publish, history, presence, presence_stats, rpc, send ─▶ unsubscribe
//	               │ with epoch and offset: what was missed comes with the answer
//	               ▼
//	           room.Audience ──▶ pushes: publications, joins and leaves
//
// A channel is a room. What is published is JSON; of an object three fields mean something here:
//
//   - "id", a string: published again by the same user within five minutes it is acknowledged again, and not said twice;
//   - "ephemeral": true is for what is told and not kept, such as that somebody types;
//   - "text" is what terminals show.
//
// rpc has the methods edit {room, offset, data}, delete {room, offset} and rooms.
//
// Whoever is put out of a room hears nothing of it any more. The client's session says so, which travels, and then it is told: 2500 if
// it did not keep up, and comes back for what it has missed; 2000 if the room was removed, or its user kicked or banned.
//
// Clients without a WebSocket hear one answer that does not end, an EventSource or lines of JSON, and say each thing in a
// request of its own. Such a stream ends with the version that serves it, and its client comes back.
//
// What holds over a handover of a WebSocket: the client, its user, its subscriptions, and what waits for it, travel with the connection; no
// join and no leave is told. Over a crash of the service the client connects again by itself, with its epochs and offsets.
package protocol
