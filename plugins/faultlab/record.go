package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/theseusd/theseus/plugins/faultlab/internal/lab"
	"github.com/theseusd/theseus/sdk/state"
)

// kept is how many runs the lab remembers.
const kept = 100

// Run is a row: what was done, and what was seen. The strategy that was asked for is the first trial.
type Run struct {
	Number    int64       `json:"run"`
	Began     time.Time   `json:"began"`
	Version   string      `json:"version"` // of the lab
	Strategy  string      `json:"strategy"`
	Fault     string      `json:"fault"`
	Level     string      `json:"level"`
	Workers   int         `json:"workers"`
	Crashes   int         `json:"crashes"` // planned
	Intensity int         `json:"intensity"`
	Period    float64     `json:"period"` // seconds
	Escalate  bool        `json:"escalate"`
	Seed      uint64      `json:"seed"`
	Trials    []lab.Trial `json:"trials"`
}

var schema = state.Schema[Run]{Name: "run", Version: 1, Check: check}

// check is asked about every row before a version may serve.
func check(key string, r Run) error {
	if key != keyOf(r.Number) || len(r.Trials) == 0 {
		return fmt.Errorf("run %d under the key %q has %d trials", r.Number, key, len(r.Trials))
	}
	return nil
}

func keyOf(number int64) string { return fmt.Sprintf("%08d", number) }

func newRun(p lab.Plan) Run {
	return Run{
		Began: time.Now().UTC().Truncate(time.Millisecond), Version: version, Strategy: p.Strategy.String(), Fault: string(p.Fault),
		Level: string(p.Level), Workers: p.Workers, Crashes: p.Crashes, Intensity: max(p.Intensity, 0), Period: p.Period.Seconds(),
		Escalate: p.Escalate, Seed: p.Seed,
	}
}

// laboratory keeps the records, and does one run at a time: two would measure each other.
type laboratory struct {
	rows *state.Table[Run]
	self string // the program
	busy chan struct{}
	mu   sync.Mutex // of the numbers
}

func newLaboratory(rows *state.Table[Run], self string) *laboratory {
	return &laboratory{rows: rows, self: self, busy: make(chan struct{}, 1)}
}

// keep gives a run its number and stores it; the oldest make room.
func (l *laboratory) keep(r Run) (Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	numbers, err := l.numbers()
	if err != nil {
		return r, err
	}
	r.Number = 1
	if len(numbers) > 0 {
		r.Number = numbers[len(numbers)-1] + 1
	}
	if err := l.rows.Put(keyOf(r.Number), r); err != nil {
		return r, fmt.Errorf("the run is done, and was not kept: %w", err)
	}
	for len(numbers) >= kept {
		if _, err := l.rows.Delete(keyOf(numbers[0])); err != nil {
			return r, err
		}
		numbers = numbers[1:]
	}
	return r, nil
}

// numbers lists the runs, the oldest first.
func (l *laboratory) numbers() (list []int64, err error) {
	err = l.rows.Range(func(_ string, r Run) bool {
		list = append(list, r.Number)
		return true
	})
	slices.Sort(list)
	return list, err
}

var errNoRuns = errors.New("there are no runs yet; try: faultlab run")

// find returns the run of a number, or the last one.
func (l *laboratory) find(word string) (Run, error) {
	numbers, err := l.numbers()
	if err != nil {
		return Run{}, err
	}
	if len(numbers) == 0 {
		return Run{}, errNoRuns
	}
	number := numbers[len(numbers)-1]
	if word != "" {
		if number, err = strconv.ParseInt(word, 10, 64); err != nil {
			return Run{}, badRun(word)
		}
	}
	r, there, err := l.rows.Lookup(keyOf(number))
	if err == nil && !there {
		err = fmt.Errorf("there is no run %d: there are %d to %d", number, numbers[0], numbers[len(numbers)-1])
	}
	return r, err
}

// outcome is the end of a run in a word or two.
func outcome(t lab.Trial) string {
	switch {
	case t.Broken != "":
		return "broken off"
	case t.Escalated > 0:
		return "gave up"
	default:
		return "recovered"
	}
}
