package supervise

// window holds the restarts that still count: when they were, in whole seconds, the oldest first.
type window struct{ at []int64 }

// add counts a restart at now and says whether that many may be: no more than most since now-period, that second
// included.
func (w *window) add(now, period int64, most int) bool {
	w.forget(now - period)
	w.at = append(w.at, now)
	return len(w.at) <= most
}

func (w *window) forget(before int64) {
	old := 0
	for old < len(w.at) && w.at[old] < before {
		old++
	}
	w.at = append(w.at[:0], w.at[old:]...)
}

// count is how many restarts would still count at now.
func (w *window) count(now, period int64) int {
	w.forget(now - period)
	return len(w.at)
}
