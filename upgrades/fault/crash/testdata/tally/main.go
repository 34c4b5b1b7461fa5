// Command tally is the service that the crash matrix upgrades: counters in the state log, answered over HTTP. Its version
// stands behind the last "#" of its own file, so that one build makes them all:
//
//	1.0.0        a row is a count
//	2.0.0        a row is a count and a note (a Step)
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
		t.useOne(state.NewTable(s, "counts", state.Schema[One]{Name: "count", Version: 1}))
	} else {
		t.useTwo(state.NewTable(s, "counts", schemaTwo(version)))
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
	version string
	blobs   *state.Table[Blob]
	add     func(key string) (int64, error)
	get     func(key string) int64
}

func (t *tally) useOne(rows *state.Table[One]) {
	t.add = func(key string) (int64, error) {
		r, err := rows.Update(key, func(r One, _ bool) (One, error) { return One{r.Count + 1}, nil })
		return r.Count, err
	}
	t.get = func(key string) int64 {
		r, _ := rows.Get(key)
		return r.Count
	}
}

func (t *tally) useTwo(rows *state.Table[Two]) {
	t.add = func(key string) (int64, error) {
		r, err := rows.Update(key, func(r Two, _ bool) (Two, error) {
			return Two{Count: r.Count + 1, Note: strconv.FormatInt(r.Count+1, 10)}, nil
		})
		return r.Count, err
	}
	t.get = func(key string) int64 {
		r, _ := rows.Get(key)
		return r.Count
	}
}

// blob is more than half a segment: the second one begins a new one.
const blob = 9 << 20

func (t *tally) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add/{key}", func(w http.ResponseWriter, r *http.Request) {
		n, err := t.add(r.PathValue("key"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%s %d", t.version, n)
	})
	mux.HandleFunc("GET /get/{key}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %d", t.version, t.get(r.PathValue("key")))
	})
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
