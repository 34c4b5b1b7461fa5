package control

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Asked is the body of a verb's request.
type Asked struct {
	Args   []string `json:"args"`
	Stream bool     `json:"stream,omitempty"` // the answer may come bit by bit, as [Said]
	Colour bool     `json:"colour,omitempty"` // it goes to a terminal that shows colours
	Execs  bool     `json:"execs,omitempty"`  // the client knows [Exec]
	Goes   bool     `json:"goes,omitempty"`   // the client knows [GoOn]

	Input io.Reader `json:"-"` // follows in the body; nil for none
}

// Said is one bit of an answer. One without anything is a sign of life.
type Said struct {
	Out      string `json:"out,omitempty"`      // for standard output, as it is
	Progress string `json:"progress,omitempty"` // a line in the place of the last one
	Flag     string `json:"flag,omitempty"`     // that named the file
	File     []byte `json:"file,omitempty"`     // its content
	Note     string `json:"note,omitempty"`     // a line for standard error, once the verb is done
	Last     bool   `json:"last,omitempty"`     // the verb is done, or has failed
	Error    string `json:"error,omitempty"`
	Failed   bool   `json:"failed,omitempty"` // the verb has failed, and has printed what there is to say
	Exec     *Exec  `json:"exec,omitempty"`   // what the client does once the verb is done
	GoOn     *GoOn  `json:"go_on,omitempty"`  // likewise
	Lost     *GoOn  `json:"lost,omitempty"`   // what the client does if the service ends before the verb is done; the last one counts
}

// GoOn has the client call the verb once more, with these arguments: another version of the service is about to answer, or another
// process.
type GoOn struct {
	Args []string `json:"args"`
}

// Exec has the client run the command that the person has written behind a `--`, and then call a verb that is told how it
// went: with Args, and behind them --exit CODE --took DURATION.
type Exec struct {
	Verb string   `json:"verb"`
	Args []string `json:"args"`
}

// SaidType is the content type of an answer that comes bit by bit: a [Said] as JSON on each line.
const SaidType = "application/x-ndjson"

// Silence is how long a service may say nothing in the middle of an answer that comes bit by bit.
const Silence = 30 * time.Second

// Do runs a verb and gives what it answers to see, as it comes. Errors are those of [Service.Call]; a service that has
// begun to answer bit by bit and then says nothing for Silence is one too. Else only ctx bounds how long a verb may take.
func (s *Service) Do(ctx context.Context, verb string, in Asked, see func(Said)) error {
	in.Stream = true
	return s.ended(s.ask(ctx, verb, in, see))
}

func (s *Service) ask(ctx context.Context, verb string, in Asked, see func(Said)) error {
	if in.Args == nil {
		in.Args = []string{}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	res, err := send(ctx, s.http, http.MethodPost, "/verbs/"+url.PathEscape(verb), in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return refusal(verb, res)
	}
	if res.Header.Get("Content-Type") != SaidType {
		text, err := io.ReadAll(res.Body)
		if err != nil {
			return lost(ctx, err)
		}
		see(Said{Out: string(text), Last: true})
		return nil
	}
	silence := time.AfterFunc(Silence, func() { cancel(fmt.Errorf("no answer within %s", Silence)) })
	defer silence.Stop()
	return listen(ctx, verb, res.Body, func(said Said) {
		silence.Reset(Silence)
		see(said)
	})
}

// listen gives each bit of an answer to hear, up to the last one.
func listen(ctx context.Context, verb string, body io.Reader, hear func(Said)) error {
	for lines := json.NewDecoder(body); ; {
		var said Said
		if err := lines.Decode(&said); err != nil {
			return lost(ctx, err)
		}
		hear(said)
		if said.Error != "" || said.Failed {
			return &VerbError{Verb: verb, Message: said.Error}
		}
		if said.Last {
			return nil
		}
	}
}
