// Command tally is the service that the crash matrix upgrades: counters, answered over HTTP. Each is one of three kinds, as
// its number modulo 8 says:
//
//	0 to 3   a row of the state log
//	4 to 6   a process with Persist, under the counter's name
//	7        a process as well; what it counts comes by mail and waits for a timer (see process.go)
//
// Its version stands behind the last "#" of its own file, so that one build makes them all:
//
//	1.0.0        a counter is a count
//	2.0.0        a counter is a count and a note (a Step)
//	2.0.1-bad    like 2.0.0, and unhealthy as soon as it serves
//	2.0.2-lame   like 2.0.0, and refuses every row at the rehearsal
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"

	"github.com/theseusd/theseus/sdk"
	"github.com/theseusd/theseus/sdk/state"
)

// One is a row of version 1.
type One struct {
	Count int64 `json:"count"`
}

// Two is a row of version 2.
type Two struct {
	Count int64  `json:"count"`
	Note  string `json:"note"`
}

// Blob is a row that fills a segment.
type Blob struct {
	Bytes []byte `json:"bytes"`
}

func main() {
	version := ownVersion()
	sdk.Main(sdk.Service{Name: "tally", Version: version, Setup: func(s *sdk.Setup) error { return setup(s, version) }})
}

func ownVersion() string {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return ""
	}
	defer f.Close() // only read
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	tail := make([]byte, 32)
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil {
		return ""
	}
	return string(tail[bytes.LastIndexByte(tail, '#')+1:])
}

func setup(s *sdk.Setup, version string) error {
	t := tally{version: version, blobs: state.NewTable(s, "blobs", state.Schema[Blob]{Name: "blob", Version: 1})}
	if version == "1.0.0" {
		schema := state.Schema[One]{Name: "count", Version: 1}
		t.rows = rows[One, *One]{state.NewTable(s, "counts", schema)}
		t.processes = newProcesses[One, *One](s, schema)
	} else {
		t.rows = rows[Two, *Two]{state.NewTable(s, "counts", schemaTwo(version))}
		t.processes = newProcesses[Two, *Two](s, schemaTwo(version))
	}
	if version == "2.0.1-bad" {
		s.Health(func(context.Context) error { return errors.New("bad on purpose") })
	}
	s.HTTP("http", t.routes())
	return nil
}

func schemaTwo(version string) state.Schema[Two] {
	s := state.Schema[Two]{Name: "count", Version: 2, Steps: []state.AnyStep{state.Step[One, Two]{
		From: 1,
		Up: func(_ string, old One, rest []byte) (Two, error) {
			return Two{Count: old.Count, Note: string(rest)}, nil
		},
		Down: func(_ string, v Two) (One, []byte, error) { return One{Count: v.Count}, []byte(v.Note), nil },
	}}}
	if version == "2.0.2-lame" {
		s.Check = func(string, Two) error { return errors.New("refused on purpose") }
	}
	return s
}

// tally is the service in either version.
type tally struct {
	version   string
	blobs     *state.Table[Blob]
	rows      counters
	processes counters
}

// counters of one kind.
type counters interface {
	add(key string) (answer string, err error)
	get(key string) (answer string, err error)
	mail(key string) error
}

// of tells where a counter is.
func (t *tally) of(key string) counters {
	if n, err := strconv.Atoi(key); err == nil && n%8 < 4 {
		return t.rows
	}
	return t.processes
}

// counter is a row, or the state of a process, of either version.
type counter[T any] interface {
	*T
	inc()
	count() int64
}

func (c *One) inc()         { c.Count++ }
func (c *One) count() int64 { return c.Count }
func (c *Two) inc()         { c.Count++; c.Note = strconv.FormatInt(c.Count, 10) }
func (c *Two) count() int64 { return c.Count }

// rows are counters in a table.
type rows[T any, P counter[T]] struct{ table *state.Table[T] }

func (r rows[T, P]) add(key string) (string, error) {
	row, err := r.table.Update(key, func(row T, _ bool) (T, error) { P(&row).inc(); return row, nil })
	return strconv.FormatInt(P(&row).count(), 10), err
}

func (r rows[T, P]) get(key string) (string, error) {
	row, _ := r.table.Get(key)
	return strconv.FormatInt(P(&row).count(), 10), nil
}

func (r rows[T, P]) mail(string) error { return errors.New("a row has no mail") }

// blob is more than half a segment: the second one begins a new one.
const blob = 9 << 20

func (t *tally) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add/{key}", t.answer(func(key string) (string, error) { return t.of(key).add(key) }))
	mux.HandleFunc("GET /get/{key}", t.answer(func(key string) (string, error) { return t.of(key).get(key) }))
	mux.HandleFunc("POST /mail/{key}", t.answer(func(key string) (string, error) { return "0", t.of(key).mail(key) }))
	mux.HandleFunc("POST /fill", func(w http.ResponseWriter, _ *http.Request) {
		for range 4 {
			if err := t.blobs.Put("blob", Blob{make([]byte, blob)}); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
		}
		if _, err := t.blobs.Delete("blob"); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	return mux
}

// answer says which version answers, and what.
func (t *tally) answer(ask func(key string) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := ask(r.PathValue("key"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%s %s", t.version, text)
	}
}
