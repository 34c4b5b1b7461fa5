// Package wire is the protocol between the daemon and a running version of a service: the generated gRPC code, and
// the few constants on which both must agree. Authors of services never import it.
package wire

import "github.com/hashicorp/go-plugin"

//go:generate go tool -modfile=../../tools.mod buf generate

// Protocol is the version of the control protocol spoken here; go-plugin negotiates it.
const Protocol = 1

// PluginName is the name under which the control service is dispensed.
const PluginName = "service"

// Handshake tells a plugin from a program started by hand.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  Protocol,
	MagicCookieKey:   "THESEUS_PLUGIN",
	MagicCookieValue: "a plank of the ship",
}

// Environment of a service process. Listeners are `name=fd,name=fd`, the service's own unix socket among them under
// the name "control". Those of EnvAlso lead to the same names, and are given up when a probation ends.
const (
	EnvListeners = "THESEUS_LISTENERS"
	EnvAlso      = "THESEUS_LISTENERS_ALSO"
	EnvLogFormat = "THESEUS_LOG_FORMAT" // text or json
	EnvLogLevel  = "THESEUS_LOG_LEVEL"  // trace, debug, info, warn, error
)
