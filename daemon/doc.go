// Package daemon is the control plane of an instance: it assembles the services' host, the upgrade engine, the
// control socket and the drop folder, and is replaceable at any time.
//
//	keel ─▶ daemon ─▶ host    service processes      ◀─ engine ◀─ control socket: reltool
//	                                                      ▲
//	                                                      └───── releases/: dropped packages
//
// When things break:
//   - the daemon is killed: services go on; the next daemon attaches to them and the engine resolves an upgrade that
//     was under way.
//   - the keel is killed: the daemon stops the services in order and ends.
//   - a service does not come up: the daemon runs nevertheless, and shows it as failed.
//   - theseus.toml has a mistake: theseusd does not start, and says where the mistake is. A daemon that comes back in an instance
//     does: services run as their release says, nothing is built, and the drop folder goes by the last good file.
package daemon
