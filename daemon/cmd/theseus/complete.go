package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/sdk/describe"
)

// listTime bounds the wait for one service where several are asked.
const listTime = 2 * time.Second

// shells have a line that makes them ask this program. %s is the list of commands.
var shells = map[string]string{
	"bash": "complete -C 'theseus __complete' theseus%s\n",
	"zsh":  "autoload -U +X bashcompinit && bashcompinit\ncomplete -C 'theseus __complete' theseus%s\n",
	"fish": "for c in theseus%s\n    complete -c $c -f -a '(COMP_LINE=(commandline -cp) theseus __complete)'\nend\n",
}

// completion prints the script for a shell, for the services that the instance has now.
func (c *call) completion() int {
	if len(c.args) != 2 || shells[c.args[1]] == "" {
		return c.usage("completion is for bash, zsh or fish")
	}
	commands := ""
	if dir, err := control.Find(c.dir); err == nil {
		if names, err := control.Sockets(dir); err == nil && len(names) > 0 {
			commands = " " + strings.Join(names, " ")
		}
	}
	fmt.Fprintf(c.out, shells[c.args[1]], commands)
	return done
}

// complete prints what the last word of the line may become. It never complains: a shell would show it.
func (c *call) complete(ctx context.Context, line string) int {
	words := strings.Split(line, " ")
	words = slices.DeleteFunc(words[:len(words)-1], func(w string) bool { return w == "" })
	last := line[strings.LastIndex(line, " ")+1:]
	own := len(words) > 0 && words[0] == self
	if own {
		words = words[1:]
	}
	for _, w := range c.candidates(ctx, words, last, own) {
		if strings.HasPrefix(w, last) {
			fmt.Fprintln(c.out, w)
		}
	}
	return done
}

// candidates are the services, the verbs of the one that is named, or what may follow behind a verb. theseus itself has
// a word of its own besides.
func (c *call) candidates(ctx context.Context, words []string, last string, own bool) []string {
	switch {
	case own && len(words) == 0:
		names, _ := c.services()
		return append(names, treeCommand)
	case own && words[0] == treeCommand:
		return slices.DeleteFunc([]string{"--json", "--dir", "--help"}, func(w string) bool { return slices.Contains(words, w) })
	}
	switch len(words) {
	case 0:
		names, _ := c.services()
		return names
	case 1:
		names, _ := c.ask(ctx, words[0])
		return names
	}
	verbs, _ := c.verbsOf(ctx, words[0])
	for _, v := range verbs {
		if v.Name == words[1] {
			return behind(v, words[2:], last)
		}
	}
	return nil
}

// behind is what may follow in the arguments of a verb: the values of a flag, or a word that is to be there and the flags that
// are not there yet.
func behind(v describe.Verb, words []string, last string) (list []string) {
	if len(words) > 0 {
		if f, ok := v.Flag(strings.TrimPrefix(words[len(words)-1], "--")); ok && f.Arg != "" {
			return f.Values
		}
	}
	if name, _, joined := strings.Cut(last, "="); joined {
		f, _ := v.Flag(strings.TrimPrefix(name, "--"))
		for _, value := range f.Values {
			list = append(list, name+"="+value)
		}
		return list
	}
	if word := literal(v, words); word != "" {
		list = append(list, word)
	}
	for _, f := range v.Flags {
		if !slices.Contains(words, "--"+f.Name) {
			list = append(list, "--"+f.Name)
		}
	}
	return list
}

// literal is the word in lower case that Args has behind words; "" if it has none there.
func literal(v describe.Verb, words []string) string {
	at, want := 0, strings.Fields(v.Args)
	for i := 0; i < len(words); i++ {
		name, isFlag := strings.CutPrefix(words[i], "--")
		f, _ := v.Flag(name)
		switch {
		case !isFlag:
			at++
		case f.Arg != "":
			i++ // its value
		}
	}
	if at >= len(want) || strings.ContainsFunc(want[at], func(r rune) bool { return r < 'a' || r > 'z' }) {
		return ""
	}
	return want[at]
}
