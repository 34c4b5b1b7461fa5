package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades"
	matrix "github.com/theseusd/theseus/upgrades/fault"
	"github.com/theseusd/theseus/upgrades/journal"
)

// entry is a record of the journal, as far as it matters here.
type entry struct {
	control.Event
	Seq uint64
}

// records are those of the journal; what was read before is not read again.
func (in *instance) records() ([]entry, error) {
	path := in.path("journal")
	info, err := os.Stat(path)
	if err != nil || info.Size() == in.read {
		return in.known, err
	}
	raw, err := journal.Read(path)
	if err != nil {
		return nil, err
	}
	seq := uint64(0)
	if n := len(in.known); n > 0 {
		seq = in.known[n-1].Seq
	}
	if n := len(raw); n == 0 || raw[n-1].Seq < seq || seq > 0 && raw[0].Seq > seq+1 {
		return nil, fmt.Errorf("the journal had records up to %d and has %d others", seq, n)
	}
	for _, r := range raw {
		if r.Seq <= seq || r.Base { // the oldest ones may be gone
			continue
		}
		e := entry{Seq: r.Seq}
		if err := json.Unmarshal(r.Payload, &e.Event); err != nil {
			return nil, fmt.Errorf("journal record %d: %w", r.Seq, err)
		}
		in.known = append(in.known, e)
	}
	in.read = info.Size()
	return in.known, nil
}

func ends(kind string) bool {
	return kind == "permanent" || kind == "aborted" || kind == "rolled_back"
}

// wholeTime is how long an instance may take to be whole after a case.
const wholeTime = 40 * time.Second

// inspect returns what is wrong after a round.
func (in *instance) inspect(ctx context.Context, r *round) error {
	if err := in.whole(ctx, r.gentle()); err != nil {
		return err
	}
	r.took = time.Since(r.began)
	_ = in.plan("")
	list, err := in.records()
	if err != nil {
		return err
	}
	if len(list) < len(r.before) {
		return fmt.Errorf("the journal had %d records and has %d", len(r.before), len(list))
	}
	if err := r.story(list[len(r.before):]); err != nil {
		return err
	}
	if r.recovered() || r.dice.IntN(oneIn) == 0 {
		if err := in.again(ctx, list); err != nil {
			return fmt.Errorf("a further crash of the daemon: %w", err)
		}
	}
	if v := in.serving(list); r.s.repeat() && v != r.s.to {
		if err := in.play(ctx, scenario{from: v, to: r.s.to}); err != nil {
			return fmt.Errorf("the same upgrade once more: %w", err)
		}
		return in.whole(ctx, true)
	}
	return nil
}

// oneIn is how many rounds that need no recovery have one that is followed by a crash of the daemon.
const oneIn = 4

// recovered is true if a daemon had to find its way after another one.
func (r *round) recovered() bool {
	for _, s := range r.c.Shots[:r.hit] {
		if s.Victim == matrix.Daemon || s.Victim == matrix.All {
			return true
		}
	}
	return !r.s.upgrades()
}

// gentle is true if no process of the service was killed or stopped: a daemon that is replaced, at whatever instant, takes
// nothing from it.
func (r *round) gentle() bool {
	return !slices.ContainsFunc(r.c.Shots[:r.hit], func(s matrix.Shot) bool { return s.Victim != matrix.Daemon || s.How != matrix.Kill })
}

// whole waits until nothing is going on and nothing is left over, and then looks at every counter.
func (in *instance) whole(ctx context.Context, gentle bool) error {
	deadline := time.Now().Add(in.yard.patience)
	for {
		changed := in.bell.next()
		err := in.quiet(ctx)
		if err == nil {
			break
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("not whole after %s: %w", in.yard.patience, err)
		}
		lull(ctx, changed, moment)
	}
	list, err := in.records()
	if err != nil {
		return err
	}
	if err := in.frugal(ctx); err != nil {
		return err
	}
	version, err := in.client.audit(ctx, gentle)
	if err == nil && version != in.serving(list) {
		err = fmt.Errorf("%s answers, the journal says %s", version, in.serving(list))
	}
	return err
}

// story checks what the journal says of one round: upgrades, one after another, that ended once each. More than one it
// is if an operator asked for the way back when there was nothing left to go back from.
func (r *round) story(list []entry) error {
	last := ""
	for _, e := range list {
		fresh := last == "" || ends(last)
		if fresh != (e.Kind == "planned") {
			return fmt.Errorf("the journal goes on with %q after %q", e.Kind, last)
		}
		last = e.Kind
	}
	switch {
	case last != "" && !ends(last):
		return fmt.Errorf("the journal ends with %q", last)
	case last == "aborted" && r.in.client.answered(r.s.to) > 0:
		return fmt.Errorf("the upgrade was aborted, but %s has answered clients", r.s.to)
	case r.told == nil && r.s.upgrades() && last != "permanent":
		return fmt.Errorf("the upgrade was called done, but the journal ends with %q", last)
	case r.hit == 0 && !r.missed && last != r.s.outcome:
		return fmt.Errorf("nobody fell, but the journal ends with %q, want %q: %w", last, r.s.outcome, r.told)
	}
	return nil
}

// serving is the version that the journal says serves.
func (in *instance) serving(list []entry) (version string) {
	release := ""
	for _, e := range list {
		switch e.Kind {
		case "booted", "permanent":
			release = e.To
		case "aborted", "rolled_back":
			release = e.From
		}
	}
	for v, name := range in.releases {
		if name == release {
			return v
		}
	}
	return "nothing"
}

// again kills the daemon of an instance that is whole: the next one must find it so, and change nothing.
func (in *instance) again(ctx context.Context, was []entry) error {
	before := in.crowd()
	if err := in.replace(ctx); err != nil {
		return err
	}
	list, err := in.records()
	if err != nil {
		return err
	}
	if len(list) != len(was) {
		return fmt.Errorf("the journal had %d records and has %d", len(was), len(list))
	}
	if err := in.whole(ctx, true); err != nil {
		return err
	}
	v := in.serving(list)
	if after := in.crowd(); !slices.Equal(before.services[v], after.services[v]) {
		return fmt.Errorf("the service was process %v and is %v", before.services[v], after.services[v])
	}
	return nil
}

// quiet is nil if nothing is under way and nothing is left over.
func (in *instance) quiet(ctx context.Context) error {
	list, err := in.records()
	if err != nil {
		return err
	}
	if n := len(list); n > 0 && !upgrades.State(list[n-1].Kind).Ended() {
		return fmt.Errorf("the journal is at %q", list[n-1].Kind) // nobody needs to be asked
	}
	ctx, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	st, err := in.Status(ctx)
	if err != nil {
		return err
	}
	if !rests(st) {
		return fmt.Errorf("the status is %+v", st)
	}
	for _, note := range st.Notes {
		if strings.Contains(note, "as in a probation") { // and is to hear that it is over
			return errors.New(note)
		}
	}
	if list, err = in.records(); err != nil {
		return err
	}
	if v := in.serving(list); v != st.Services[0].Version || in.releases[v] != st.Release {
		return fmt.Errorf("the journal says %s, status says %s of release %s", v, st.Services[0].Version, st.Release)
	}
	if err := in.tidy(); err != nil {
		return err
	}
	return in.alone(st)
}

// alone is nil if exactly the processes that status names live.
func (in *instance) alone(st control.Status) error {
	c := in.crowd()
	service := st.Services[0]
	if !slices.Equal(c.daemons, []int{st.PID}) || len(c.services) != 1 || !slices.Equal(c.services[service.Version], []int{service.PID}) || c.dead > 0 {
		return fmt.Errorf("status has daemon %d and %s %d, but there are %+v", st.PID, service.Version, service.PID, c)
	}
	return nil
}

// What may lie in an instance that rests.
const (
	maxSegments = 4
	maxSpares   = 2 // the next segment and the small one in reserve
)

// inRun is what has its place in run/; the keel keeps a spare name for each of its sockets.
var inRun = []string{
	"lock", "daemon.json", "control.sock", "tally.sock", ".control.sock.spare", ".tally.sock.spare", "tally-*.json", "plugin*",
}

// tidy is nil if no file and no socket is left over.
func (in *instance) tidy() error {
	var errs []error
	limit := func(n, most int, what string) {
		if n > most {
			errs = append(errs, fmt.Errorf("%d %s, want %d at most", n, what, most))
		}
	}
	run := names(in.path("run"))
	limit(count(run, "pair-"), 0, "sockets of pairs in run/")
	limit(count(run, "plugin-dir"), 1, "folders of go-plugin's in run/")
	limit(count(run, "plugin")-count(run, "plugin-dir"), 1, "sockets of processes in run/")
	limit(count(run, "tally-"), 1, "records of processes in run/")
	for _, name := range run {
		if !slices.ContainsFunc(inRun, func(p string) bool { ok, _ := filepath.Match(p, name); return ok }) {
			errs = append(errs, fmt.Errorf("run/%s is nobody's", name))
		}
	}
	for _, needed := range []string{"control.sock", "tally.sock", "daemon.json"} {
		if !slices.Contains(run, needed) {
			errs = append(errs, fmt.Errorf("there is no run/%s", needed))
		}
	}
	limit(len(names(in.path("incoming"))), 0, "files in incoming/")
	limit(count(names(in.path("")), "journal"), 1, "journals")
	limit(len(names(in.path("store"))), len(versions), "packages in store/")
	state := names(in.path("state", "tally"))
	limit(count(state, "spare-"), maxSpares, "spare segments")
	limit(len(state)-count(state, "spare-"), maxSegments+2, fmt.Sprintf("files of the state log (%v)", state))
	return errors.Join(errs...)
}

func names(dir string) (list []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		list = append(list, filepath.Base(e.Name()))
	}
	return list
}

func count(list []string, prefix string) (n int) {
	for _, name := range list {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}

// usage counts open descriptors.
type usage struct{ keel, daemon, service int }

// more is what a process may have open beyond what it had at first: connections of clients that come and go.
const more = 10

// frugal is nil if no process has many more descriptors than at first.
func (in *instance) frugal(ctx context.Context) error {
	st, err := in.Status(ctx)
	if err != nil || len(st.Services) != 1 {
		return fmt.Errorf("the status is %+v: %w", st, err)
	}
	now := usage{descriptors(in.keel()), descriptors(st.PID), descriptors(st.Services[0].PID)}
	if in.base == (usage{}) {
		in.base = now
	}
	if now.keel > in.base.keel+more || now.daemon > in.base.daemon+more || now.service > in.base.service+more {
		return fmt.Errorf("descriptors grow: %+v, were %+v", now, in.base)
	}
	return nil
}
