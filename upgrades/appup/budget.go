package appup

// Budgets are how long each step of an upgrade may take, if not as long as usual. A step that takes longer ends the
// upgrade: before the switch the old version serves on, after it the old version is back.
type Budgets struct {
	Start    Duration `toml:"start" json:"start,omitzero"`         // until a standby has read the log
	Shadow   Duration `toml:"shadow" json:"shadow,omitzero"`       // until every row is there in the older shape, on the way down
	Rehearse Duration `toml:"rehearse" json:"rehearse,omitzero"`   // every row up and down again
	Follow   Duration `toml:"follow" json:"follow,omitzero"`       // until the standby is close behind
	Switch   Duration `toml:"switch" json:"switch,omitzero"`       // until the old version has let go, with all tries
	TakeOver Duration `toml:"take_over" json:"take_over,omitzero"` // until the new one serves
	Stop     Duration `toml:"stop" json:"stop,omitzero"`           // until a version that is to be restarted has ended
}
