package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/theseusd/theseus/sdk/control"
)

// Call is one call of a verb with Do. What the verb prints reaches the person at once, however long the call takes.
// Its methods may be called by several goroutines.
type Call struct {
	Args   []string  // the words, without flags
	Colour bool      // what is printed goes to a terminal that shows colours
	Input  io.Reader // the caller's standard input, for verbs that ask for it

	flags  map[string]string
	execs  bool            // the client runs commands
	goes   bool            // the client calls a verb once more
	files  map[string]bool // flags that name files, if the client writes any
	mu     sync.Mutex
	lost   *control.GoOn // goes along with what is said next
	say    func(control.Said) error
	silent bool // nothing was said since the last beat
}

// Flag is the value of a flag, and whether it was given.
func (c *Call) Flag(name string) (value string, given bool) {
	value, given = c.flags[name]
	return value, given
}

// Given tells whether a flag was given.
func (c *Call) Given(flag string) bool {
	_, given := c.flags[flag]
	return given
}

// JSON prints v as JSON, in one line.
func (c *Call) JSON(v any) error {
	var line strings.Builder
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	if err == nil {
		c.Printf("%s", line.String())
	}
	return err
}

// Printf prints to the standard output of the one who calls.
func (c *Call) Printf(format string, args ...any) {
	c.tell(control.Said{Out: fmt.Sprintf(format, args...)})
}

// Progress shows one line in the place of the last one, on a terminal; elsewhere it shows nothing.
func (c *Call) Progress(line string) { c.tell(control.Said{Progress: line}) }

// Write has the client write the file that was given to a flag. The client has made sure that it can before the call
// began; the file appears when the verb is done, and stays as it was if the verb fails.
func (c *Call) Write(flag string, content []byte) error {
	if !c.files[flag] {
		return Usagef("--%s: this client writes no files", flag)
	}
	c.tell(control.Said{Flag: flag, File: content})
	return nil
}

// Note has the client print a line on its standard error once the verb is done, and the files that it has written are there.
func (c *Call) Note(format string, args ...any) {
	c.tell(control.Said{Note: fmt.Sprintf(format, args...)})
}

// Exec has the client run the command that the person has written behind a `--`, with the person's own terminal, files and
// rights, once the verb is done. Then the client calls the verb report, with args and behind them --exit CODE --took
// DURATION, and ends with the code of the command. A command that could not be started, or that a signal has ended, has the
// code that a shell gives it.
func (c *Call) Exec(report string, args ...string) error {
	if !c.execs {
		return Usagef("this client runs no commands")
	}
	c.tell(control.Said{Exec: &control.Exec{Verb: report, Args: args}})
	return nil
}

// GoOn has the client call the verb once more with args, once this call is done. It is for a verb that prints for as long as
// somebody watches, when serve.Parking says that its version is about to hand over: the next call waits for whoever serves
// then, and args say where it goes on. False says that this client cannot do that.
func (c *Call) GoOn(args ...string) bool {
	if c.goes {
		c.tell(control.Said{GoOn: &control.GoOn{Args: args}})
	}
	return c.goes
}

// IfLost has the client call the verb once more with args if the service ends before the verb is done, as in a crash. They reach the
// client with what is printed next, be that nothing: so args can say up to where something was printed, and nothing is printed twice or
// not at all. What was said last counts. Clients that cannot do that end as ever.
func (c *Call) IfLost(args ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = &control.GoOn{Args: args}
}

// tell says something. Nobody may listen any more: then the context of the call ends.
func (c *Call) tell(s control.Said) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.silent = false
	s.Lost, c.lost = c.lost, nil
	_ = c.say(s)
}

// beat is a sign of life while there is nothing to say.
func (c *Call) beat(ctx context.Context) {
	tick := time.NewTicker(control.Silence / 6)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.mu.Lock()
		if c.silent {
			_ = c.say(control.Said{})
		}
		c.silent = true
		c.mu.Unlock()
	}
}

// parse splits the arguments of a verb that has flags, and counts the words of any.
func (v Verb) parse(args []string) (words []string, flags map[string]string, err error) {
	words = args
	if len(v.Flags) > 0 {
		if words, flags, err = parseFlags(v.Flags, args); err != nil {
			return nil, nil, err
		}
	}
	if least, most := v.arity(); len(words) < least || (most >= 0 && len(words) > most) {
		return nil, nil, Usagef("%s takes %s, not %d", v.Name, arguments(least, most), len(words))
	}
	return words, flags, nil
}

// arguments says how many: any number from least on if most is below 0.
func arguments(least, most int) string {
	switch {
	case most < 0:
		return fmt.Sprintf("%d arguments or more", least)
	case least < most:
		return fmt.Sprintf("%d to %d arguments", least, most)
	case most == 0:
		return "no arguments"
	case most == 1:
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", most)
}

func (v Verb) usage() string {
	text := v.Name + " " + v.Args
	if len(v.Flags) > 0 {
		text = strings.TrimSpace(text) + " [FLAGS]"
	}
	return text
}

// answers calls the verb for a request.
func (v Verb) answers(w http.ResponseWriter, r *http.Request, in control.Asked) {
	if v.Do != nil && in.Stream {
		v.stream(w, r, in)
		return
	}
	text, err := v.call(r.Context(), in.Args)
	if errors.Is(err, ErrSaid) {
		err = errors.New(text)
	}
	if err != nil {
		v.writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text))
}

// stream answers line by line, also while the input comes: else net/http takes what is left of that before it answers. An
// error before the first line is one of the request.
func (v Verb) stream(w http.ResponseWriter, r *http.Request, in control.Asked) {
	answer := http.NewResponseController(w)
	_ = answer.EnableFullDuplex() // HTTP/2 does so anyway
	words, flags, err := v.parse(in.Args)
	if err != nil {
		v.writeError(w, err)
		return
	}
	c := &Call{Args: words, Colour: in.Colour, Input: in.Input, flags: flags, execs: in.Execs, goes: in.Goes, files: map[string]bool{}}
	began := false
	out := json.NewEncoder(w)
	c.say = func(s control.Said) error {
		if !began {
			w.Header().Set("Content-Type", control.SaidType)
			began = true
		}
		if err := out.Encode(s); err != nil {
			return err
		}
		return answer.Flush()
	}
	for _, f := range v.Flags {
		c.files[f.Name] = f.Writes
	}
	ctx, cancel := context.WithCancel(r.Context())
	var beats sync.WaitGroup
	beats.Go(func() { c.beat(ctx) })
	err = v.Do(r.Context(), c)
	cancel()
	beats.Wait()
	if err != nil && !began {
		v.writeError(w, err)
		return
	}
	last := control.Said{Last: true}
	switch {
	case errors.Is(err, ErrSaid):
		last.Failed = true
	case err != nil:
		last.Error = err.Error()
	}
	c.tell(last)
}
