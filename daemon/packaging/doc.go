// Package packaging holds what a distribution needs beside the binaries: the unit for systemd.
//
//	systemd ──notify, watchdog── theseusd (keel)     KillMode=process: the keel stops what is below it, in order
//	   └─ ExecStopPost ─ theseusd reap               ends what a killed keel has left
package packaging
