package circuit

// bucketCount is in how many parts a window moves on.
const bucketCount = 10

// Bucket is what was reported in one part of the window.
type Bucket struct {
	At       int64 `json:"at"` // number of the part since 1970
	Calls    int64 `json:"calls"`
	Failures int64 `json:"failures"`
	Slow     int64 `json:"slow"`
}

// Window is what was reported lately; a part of it that is too old does not count.
type Window [bucketCount]Bucket

func part(s Settings, now int64) int64 { return now / max(int64(s.Window)/bucketCount, 1) }

// add counts a call. What lies ahead of now, since the clock was set back, is taken to be of now.
func (w *Window) add(s Settings, now int64, failed, slow bool) {
	at := part(s, now)
	w.settle(at)
	b := &w[at%bucketCount]
	if b.At != at {
		*b = Bucket{At: at}
	}
	b.Calls++
	b.Failures += one(failed)
	b.Slow += one(slow)
}

// settle moves what lies ahead of at into it.
func (w *Window) settle(at int64) {
	var ahead Bucket
	for i := range w {
		if w[i].At > at {
			ahead.merge(w[i])
			w[i] = Bucket{}
		}
	}
	if ahead.Calls == 0 {
		return
	}
	b := &w[at%bucketCount]
	if b.At != at {
		*b = Bucket{At: at}
	}
	b.merge(ahead)
}

func (b *Bucket) merge(other Bucket) {
	b.Calls += other.Calls
	b.Failures += other.Failures
	b.Slow += other.Slow
}

// Sum is what counts now.
func (w Window) Sum(s Settings, now int64) (sum Bucket) {
	at := part(s, now)
	for _, b := range w {
		if b.At > at-bucketCount {
			sum.merge(b)
		}
	}
	return sum
}

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
