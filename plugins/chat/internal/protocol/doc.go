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
// What holds over a handover: the client, its user, its subscriptions, and what waits for it, travel with the connection; no
// join and no leave is told. Over a crash of the service the client connects again by itself, with its epochs and offsets.
package protocol
