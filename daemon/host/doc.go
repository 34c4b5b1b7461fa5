// Package host runs versions of services as processes. It is the only user of go-plugin's client.
//
//	Start ─▶ exec from the store, handshake, Open ─▶ standby ─ Activate ─▶ active ─ dies ─▶ started again
//	Attach ─▶ record, pidfd, Status ─────────────────────────────▲ whatever it was
//
// A process outlives the daemon: it inherits its listeners from the keel and the log's descriptor, no pipe to the
// daemon stays open, and a record beside its socket lets the next daemon attach to it again. A process is known by
// pid, start time and boot, and its death is seen by its pidfd, child or not.
//
// Whoever has taken a service decides about its processes; supervision begins with the first Give. When things break:
//   - the serving process dies: another of the same version takes its place at once, up to the intensity of the
//     manifest; past it the service is failed, which the log says loudly, until it is given again.
//   - a process hangs: calls to it end with their contexts; Stop ends it by force.
//   - the daemon dies: nothing happens to the processes. Attach finds them; what no record names is killed.
package host
