// Package host runs versions of services as processes. It is the only user of go-plugin's client.
//
//	Start ─▶ exec from the store, handshake, Open ─▶ standby ─ Activate ─▶ active ─ dies ─▶ started again
//	Attach ─▶ record, pidfd, Status ─────────────────────────────▲ whatever it was
//
// A process outlives the daemon: it inherits its listeners from the keel and the log's descriptor, no pipe to the
// daemon stays open, and a record beside its socket lets the next daemon attach to it again. A process is known by
// pid, start time and boot, and its death is seen by its pidfd, child or not.
//
//	root ─┬─ backend (rest_for_one) ─┬─ limits      Supervise says who restarts whom, sdk/supervise does it
//	      └─ visits                  └─ chat        the child is the service: an upgrade exchanges what runs of it
//
// Whoever has taken a service decides about its processes; supervision begins with the first Give. When things break:
//   - the serving process dies: another of the same version takes its place at once, and by the strategy of its supervisor
//     others are restarted with it. Past the intensity the supervisor fails. Right under the root it is tried again after a
//     rest, if its restart type says so, and in any case when one of its services is given.
//   - a sibling dies while a service is taken: its active process ends too, if that is the strategy, and whoever has taken
//     it sees a crash. The death of a process of a taken service restarts nobody, unless it is given back dead.
//   - a supervisor is at work, as with a slow start: changes of the tree that it has to make wait for it, nobody else does.
//   - a process hangs: calls to it end with their contexts; Stop ends it by force.
//   - the daemon dies: nothing happens to the processes. Attach finds them; what no record names is killed.
package host
