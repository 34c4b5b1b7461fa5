package appup

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const full = `name = "visits"
version = "2.0.0"
command = "vis"
drain = "100ms"
drop = ["old"]
drop_verbs = ["top"]
drop_listeners = ["resp"]

[[listen]]
name = "http"
address = "127.0.0.1:8081"

[[up]]
from = "~1.0"
do = "update"
probation = "3s"
irreversible = true

[[up]]
from = "^0.9"
do = "restart"

[[down]]
to = "~1.0"

[probation]
health = "2s"
crashes = 2
error_rate = "0.5%"
p99 = "3x, 250ms"
requests = 20

[budget]
start = "1m"
shadow = "2m"
rehearse = "1h"
follow = "5s"
switch = "2s"
take_over = "3s"
stop = "4s"

[requires]
cache = "^1"

[restart]
intensity = 5
period = "1m"
`

func TestParseReadsEverything(t *testing.T) {
	m, err := Parse("appup.toml", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	m.src = nil
	want := `{Name:visits Version:2.0.0 Command:vis Drain:100ms Drop:[old] DropVerbs:[top] DropListeners:[resp] ` +
		`Listen:[{Name:http Network:tcp Address:127.0.0.1:8081}] ` +
		`Up:[{From:~1.0 Do:update Probation:3s Irreversible:true} {From:^0.9 Do:restart Probation:10s Irreversible:false}] ` +
		`Down:[{To:~1.0 Do:update Probation:10s Irreversible:false}] Probation:{Health:2s Crashes:2 ErrorRate:0.5% P99:3x, 250ms Requests:20} ` +
		`Budget:{Start:1m0s Shadow:2m0s Rehearse:1h0m0s Follow:5s Switch:2s TakeOver:3s Stop:4s} ` +
		`Requires:map[cache:^1] Restart:{Intensity:5 Period:1m0s} src:<nil>}`
	if got := fmt.Sprintf("%+v", *m); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func TestParseFillsInTheDefaults(t *testing.T) {
	m, err := Parse("appup.toml", []byte("name = \"a-b\"\nversion = \"2.0.1-bad\"\n[[up]]\nfrom = \"*\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := []any{
		m.Command, m.Drain.Std(), m.Probation.Health.Std(), m.Restart.Intensity, m.Restart.Period.Std(),
		m.Up[0].Do, m.Up[0].Probation.Std(),
	}
	want := []any{"a-b", 200 * time.Millisecond, time.Second, 3, 5 * time.Second, Update, 10 * time.Second}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// head makes a manifest of which only the rest is in question; the rest begins at line 3.
func head(rest string) string { return "name = \"x\"\nversion = \"1.0.0\"\n" + rest }

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown key", head("drian = \"1s\""), `3:1: unknown key "drian"; did you mean "drain"?`},
		{"a key in capitals", head("Drain = \"1s\""), `3:1: unknown key "Drain"; did you mean "drain"?`},
		{"an unknown key in a table", head("[[up]]\nform = \"~1\""), `4:1: unknown key "form" in up[0]; did you mean "from"?`},
		{"an unknown table", head("[[lisen]]"), `3:3: unknown key "lisen"; did you mean "listen"?`},
		{"an unknown key in an inline table", head(`listen = [{nam = "x"}]`), `3:12: unknown key "nam" in listen[0]; did you mean "name"?`},
		{"a dotted unknown key", head("probation.healt = \"1s\""), `3:11: unknown key "healt" in probation; did you mean "health"?`},
		{"a key that slid into a table", head("[[up]]\nfrom = \"*\"\ndrain = \"1s\""), `5:1: unknown key "drain" in up[0]; "drain" belongs above the first [table]`},
		{"a key like no other", head("zzzzzzzz = 1"), `3:1: unknown key "zzzzzzzz"; known here: budget, command, down, drain, drop, drop_listeners, drop_verbs, listen, name, probation, requires, restart, up, version`},
		{"a number for a text", "name = 3\n", `1:8: name is an integer here and must be a string`},
		{"a number for a duration", head("drain = 200"), `3:9: drain is an integer here and must be a string; a duration is written as "200ms" or "10s"`},
		{"a number for do", head("[[up]]\nfrom = \"*\"\ndo = 1"), `5:6: up[0].do is an integer here and must be a string; write "update", "load" or "restart"`},
		{"a text for a number", head("[restart]\nintensity = \"3\""), `4:13: restart.intensity is a string here and must be an integer`},
		{"a text for a boolean", head("[[up]]\nfrom = \"*\"\nirreversible = \"yes\""), `5:16: up[0].irreversible is a string here and must be a boolean`},
		{"a text for a list", head(`drop = "a"`), `3:8: drop is a string here and must be an array`},
		{"a date", head(`drain = 2020-01-01`), `3:9: drain is a date or time here and must be a string; a duration is written as "200ms" or "10s"`},
		{"a number for tables", head("listen = 3"), `3:10: listen is an integer here and must be an array of tables`},
		{"a table for a text", head("[command]"), `3:2: command is a table here and must be a string`},
		{"a table below a text", head("command.x = 1"), `3:9: command is a table here and must be a string`},
		{"[up] for [[up]]", head("[up]\nfrom = \"*\""), `3:2: up can be there several times; write [[up]]`},
		{"[[restart]] for [restart]", head("[[restart]]"), `3:3: restart is there once; write [restart]`},
		{"a number in requires", head("[requires]\ncache = 1"), `4:9: requires.cache is an integer here and must be a string`},
		{"an unfinished string", head("command = \"x\n"), `3:13: basic strings cannot have new lines`},
		{"no value", head("command ="), `3:9: expected value, not end of input`},
		{"a key twice", head("name = \"y\""), `3:1: key name is already defined`},
		{"bad UTF-8", head("command = '\xff'"), `3:12: invalid UTF-8 character in literal string`},

		{"a text without end", strings.Repeat("#\n", MaxSize), `a manifest has at most 64 KiB`},
		{"tables without end", head("drop = " + strings.Repeat("[", MaxSize/2)), `3:10008: arrays and inline tables are nested more than the maximum of 10000 levels deep`},

		{"no name", `version = "1.0.0"`, `name is missing; a name is lower case letters and digits, as in "chat" or "rate-limit"`},
		{"no version", `name = "x"`, `version is missing; write version = "1.0.0"`},
		{"a name that is a path", "name = \"../x\"\nversion = \"1.0.0\"", `1:8: "../x" is no name; a name is lower case letters and digits, as in "chat" or "rate-limit"`},
		{"a name that reads as a version", "name = \"x-1\"\nversion = \"1.0.0\"", `1:8: "x-1" is no name; a name is lower case letters and digits, as in "chat" or "rate-limit"`},
		{"a long name", "name = \"" + strings.Repeat("x", 41) + "\"\nversion = \"1.0.0\"", `1:8: a name has at most 40 letters, this one 41`},
		{"a short version", "name = \"x\"\nversion = \"1.0\"", `2:11: "1.0" is no semantic version; write it as "1.2.3" or "1.2.3-rc1"`},
		{"a version with a v", "name = \"x\"\nversion = \"v1.0.0\"", `2:11: "v1.0.0" is no semantic version; write it as "1.2.3" or "1.2.3-rc1"`},
		{"a command that is ours", head(`command = "reltool"`), `3:11: the command "reltool" is taken`},
		{"a bad duration", head(`drain = "fast"`), `3:9: "fast" is no duration; write it as "200ms" or "10s"`},
		{"no duration at all", head(`drain = "0s"`), `3:9: a duration of 0s is too short; leave the key away for the default`},
		{"a negative duration", head("[probation]\nhealth = \"-1s\""), `4:10: a duration of -1s is too short; leave the key away for the default`},
		{"a rate without a sign", head("[probation]\nerror_rate = \"1\""), `4:14: "1" is no error rate; write it as "1%", or "off"`},
		{"a number for a rate", head("[probation]\nerror_rate = 1"), `4:14: probation.error_rate is an integer here and must be a string; write it as "1%", or "off"`},
		{"a rate that cannot be", head("[probation]\nerror_rate = \"101%\""), `4:14: an error rate of 101% can never be exceeded; write "off"`},
		{"a negative rate", head("[probation]\nerror_rate = \"-1%\""), `4:14: "-1%" is no error rate; write it as "1%", or "off"`},
		{"no rate", head("[probation]\nerror_rate = \"\""), `4:14: "" is no error rate; write it as "1%", or "off"`},
		{"a bad p99", head("[probation]\np99 = \"fast\""), `4:7: "fast" is no p99; write it as "3x", "250ms", "3x, 250ms" or "off"`},
		{"a p99 the wrong way round", head("[probation]\np99 = \"250ms, 3x\""), `4:7: "250ms, 3x" is no p99; write it as "3x", "250ms", "3x, 250ms" or "off"`},
		{"a p99 that gets better", head("[probation]\np99 = \"0.5x\""), `4:7: a p99 of 0.5x is no worse than before; the factor is greater than 1`},
		{"a p99 of nothing", head("[probation]\np99 = \"3x, 0s\""), `4:7: a p99 of 0s is too short; write "off" for none`},
		{"an endless p99", head("[probation]\np99 = \"Infx\""), `4:7: "Infx" is no p99; write it as "3x", "250ms", "3x, 250ms" or "off"`},
		{"negative crashes", head("[probation]\ncrashes = -1"), `4:11: the number of crashes is negative; 0 is none`},
		{"no requests", head("[probation]\nrequests = 0"), `4:12: no request says nothing; the least number is 1; leave the key away for the default`},
		{"an unknown gate", head("[probation]\nerrors = \"1%\""), `4:1: unknown key "errors" in probation; known here: crashes, error_rate, health, p99, requests`},
		{"an unknown budget", head("[budget]\ntakeover = \"1s\""), `4:1: unknown key "takeover" in budget; did you mean "take_over"?`},
		{"a budget of nothing", head("[budget]\nswitch = \"0s\""), `4:10: a duration of 0s is too short; leave the key away for the default`},
		{"an unknown do", head("[[up]]\nfrom = \"*\"\ndo = \"pray\""), `5:6: do is "pray", not update, load or restart`},

		{"a bad range", head("[[up]]\nfrom = \"~one\""), `4:8: "~one" is no range of versions; write it as "~1.0", "^1.2" or ">= 1.0, < 1.4"`},
		{"a bad range down", head("[[down]]\nto = \">>1\""), `4:6: ">>1" is no range of versions; write it as "~1.0", "^1.2" or ">= 1.0, < 1.4"`},
		{"no range", head("[[up]]\ndo = \"load\""), `3:3: up[0].from is missing; write it as "~1.0", "^1.2" or ">= 1.0, < 1.4"`},
		{"a range twice", head("[[up]]\nfrom = \"~1\"\n[[up]]\nfrom = \"~1\""), `6:8: the range "~1" is there twice`},
		{"a negative intensity", head("[restart]\nintensity = -1"), `4:13: the intensity is negative`},
		{"a table dropped twice", head(`drop = ["a", "b", "a"]`), `3:19: the table "a" is there twice`},
		{"a requirement without a range", head("[requires]\ncache = \"new\""), `4:9: "new" is no range of versions; write it as "~1.0", "^1.2" or ">= 1.0, < 1.4"`},
		{"a requirement on no name", head("[requires]\n\"a/b\" = \"*\""), `4:9: "a/b" is no name; a name is lower case letters and digits, as in "chat" or "rate-limit"`},
		{"itself required", head("[requires]\nx = \"*\""), `4:5: requires form a cycle: x -> x`},

		{"a listener without a name", head("[[listen]]\naddress = \":80\""), `3:3: listen[0].name is missing; a name is lower case letters and digits, as in "chat" or "rate-limit"`},
		{"a listener without an address", head("[[listen]]\nname = \"http\""), `3:3: listen[0].address is missing; write address = "127.0.0.1:8080"`},
		{"a listener twice", head("[[listen]]\nname = \"a\"\naddress = \":80\"\n[[listen]]\nname = \"a\"\naddress = \":81\""), `7:8: the listener "a" is there twice`},
		{"an address twice", head("[[listen]]\nname = \"a\"\naddress = \":80\"\n[[listen]]\nname = \"b\"\naddress = \":80\""), `8:11: the address ":80" is there twice`},
		{"the listener control", head("[[listen]]\nname = \"control\"\naddress = \":80\""), `4:8: "control" is the service's own unix socket; choose another name`},
		{"an address without a port", head("[[listen]]\nname = \"a\"\naddress = \"localhost\""), `5:11: "localhost" is no address; write it as "127.0.0.1:8080" or ":8080"`},
		{"a port too high", head("[[listen]]\nname = \"a\"\naddress = \":65536\""), `5:11: "65536" is no port; a port is a number from 0 to 65535`},
		{"a port by name", head("[[listen]]\nname = \"a\"\naddress = \":http\""), `5:11: "http" is no port; a port is a number from 0 to 65535`},
		{"a host by name", head("[[listen]]\nname = \"a\"\naddress = \"example.org:80\""), `5:11: "example.org" is no IP address; a listener is opened before names can be looked up`},
		{"an unknown network", head("[[listen]]\nname = \"a\"\nnetwork = \"udp\"\naddress = \":80\""), `5:11: the network "udp" is not known; known: tcp, tcp4, tcp6, unix`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f", []byte(c.text))
			var p *ParseError
			if !errors.As(err, &p) {
				t.Fatalf("err = %v", err)
			}
			sep := ":"
			if p.Line == 0 {
				sep = ": "
			}
			if want := "f" + sep + c.want; p.Short() != want {
				t.Fatalf("got  %s\nwant %s", p.Short(), want)
			}
		})
	}
}

func TestParseErrorShowsTheLineAndACaret(t *testing.T) {
	_, err := Parse("plugins/visits/appup.toml", []byte(head("[[up]]\n\t\"fröm\".x = 1\n")))
	got := err.Error()
	if !strings.HasPrefix(got, "plugins/visits/appup.toml:4:2: unknown key \"fröm\"") ||
		!strings.HasSuffix(got, "\n  4 | \t\"fröm\".x = 1\n    | \t^") {
		t.Fatalf("%s", got)
	}
	_, err = Parse("f", []byte(head(`requires = {"ü" = "*", y = 1}`)))
	if got := err.Error(); !strings.HasSuffix(got, "\n  3 | requires = {\"ü\" = \"*\", y = 1}\n    |                            ^") {
		t.Fatalf("the caret counts letters, not bytes:\n%s", got)
	}
}

func TestPlacesAreOptionalForUnixAndAnyPort(t *testing.T) {
	text := head("[[listen]]\nname = \"a\"\naddress = \":0\"\n[[listen]]\nname = \"b\"\naddress = \":0\"\n" +
		"[[listen]]\nname = \"c\"\nnetwork = \"unix\"\naddress = \"/run/x.sock\"\n")
	if _, err := Parse("f", []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// Whatever the text: no panic, and an error that points into the text.
func FuzzParse(f *testing.F) {
	f.Add(full)
	f.Add(head("drop = [\"a\", 3]\n[requires]\n\"x.y\" = '*'"))
	f.Add(head("listen = [{name = \"a\", address = \":1\"}, {}]\nup = [{from = \"*\"}]\n[up.x]\n"))
	f.Add("a = [[[{b.c = 1}]]]\n[[x.y]]\n[listen.name]\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse("f", []byte(text))
		if err == nil {
			if m.Name == "" || m.Version == "" || m.Command == "" || m.Drain <= 0 {
				t.Fatalf("%+v", m)
			}
			return
		}
		var p *ParseError
		if !errors.As(err, &p) {
			t.Fatalf("%T %v", err, err)
		}
		if n := strings.Count(text, "\n") + 1; p.Line < 0 || p.Line > n || p.What == "" {
			t.Fatalf("line %d of %d: %q", p.Line, n, p.What)
		}
		_ = p.Error()
	})
}
