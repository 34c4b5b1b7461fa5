package sdktest

import (
	"testing"

	"github.com/theseusd/theseus/sdk"
)

// Versions are two versions of a service that take turns on the same state, and the same addresses until a restart.
type Versions struct {
	*Instance // that serves
	service   sdk.Service
	other     *Instance // nil until there was a switch
}

// StartVersions is Start with one of them.
func StartVersions(t testing.TB, s sdk.Service, o Options) *Versions {
	t.Helper()
	return &Versions{Instance: Start(t, s, o), service: s}
}

// Switch has the other version serve: an upgrade, or the way back.
func (v *Versions) Switch() {
	v.t.Helper()
	if v.other == nil {
		v.other = v.Next(v.service)
	}
	v.HandOver(v.other)
	v.Instance, v.other = v.other, v.Instance
}

// Restart ends both in order and starts one anew, at other addresses.
func (v *Versions) Restart() {
	v.t.Helper()
	v.Stop()
	if v.other != nil {
		v.other.Stop()
	}
	v.Instance, v.other = Start(v.t, v.service, v.o), nil
}
