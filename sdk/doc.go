// Package sdk is what the author of a service imports.
//
// A service is a program whose main calls [Main]. The daemon starts it, one process per running version, and the
// program learns from Setup what it is: which tables it keeps, what it serves, which verbs it answers.
//
//	        ┌───────────── Release ─────────────┐
//	        ▼                                   │
//	start ─ Open ─▶ standby ──── Activate ────▶ active ─▶ Stop
//	                follows the state log       serves, and is the log's one writer
//
// Every process starts as a standby, whether it is the first of its service, the restart after a crash, the new
// version of an upgrade or the old one of a rollback: there is one way to begin. A process may change roles any
// number of times.
//
// What the author is promised:
//   - Setup runs once per process, before anything is served. It may read its tables only in handlers, verbs and in
//     functions given to [Setup.Go]: those run in the active version alone.
//   - A write that was acknowledged survives the end of the process, whatever ended it ([state.Durable] tables: a
//     power failure as well). Two versions never write at the same time; the one that may not gets
//     [state.ErrNotWriter].
//   - Processes of [Setup.Node] go on in the next version, as package otp says.
//   - Connections are handed from one version to the next between requests, so a handler never sees half of one.
//     A handler that waits long sees context.Cause(ctx) == [serve.ErrParking] when the version is about to be
//     released, and should end then.
//   - Writing to os.Stdout or os.Stderr never blocks and never kills the process, also when nobody reads the logs.
//   - The process ends by itself when no daemon has spoken to it for ten minutes. Its state stays in the log.
package sdk
