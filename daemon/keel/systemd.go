package keel

import "github.com/coreos/go-systemd/v22/daemon"

// systemd is told how the instance is; without systemd nothing happens. Its watchdog hears from us only when the
// daemon beats, but the keel replaces a silent daemon long before systemd would replace the keel.
type systemd struct{ watched bool }

func newSystemd() *systemd {
	interval, err := daemon.SdWatchdogEnabled(false)
	return &systemd{watched: err == nil && interval > 0}
}

func (s *systemd) ready()    { s.tell(daemon.SdNotifyReady) }
func (s *systemd) stopping() { s.tell(daemon.SdNotifyStopping) }

func (s *systemd) watchdog() {
	if s.watched {
		s.tell(daemon.SdNotifyWatchdog)
	}
}

// tell cannot do anything about an error: systemd draws its own conclusions from silence.
func (s *systemd) tell(state string) { _, _ = daemon.SdNotify(false, state) }
