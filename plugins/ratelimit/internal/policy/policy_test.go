package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/plugins/ratelimit/internal/limit"
)

const good = `
[[policy]]
name  = "api"
limit = 100
per   = "1s"
burst = 200

[[policy]]
name       = "login"
algorithm  = "sliding_window"
limit      = 5
per        = "1m"
dry_run    = true
domain     = "edge"
descriptor = ["user", "path=/login"]

[[policy]]
name      = "jobs"
algorithm = "concurrency"
limit     = 3
`

func TestPoliciesAreRead(t *testing.T) {
	all, err := Parse("p.toml", []byte(good))
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	if r := all[0].Rule(); r != (limit.Policy{Limit: 100, Per: time.Second, Burst: 200}) {
		t.Errorf("%+v", r)
	}
	if r := all[2].Rule(); r.Lease != limit.DefaultLease || r.Algorithm != limit.Concurrency {
		t.Errorf("%+v", r)
	}
	if !all[1].DryRun || all[1].Descriptor[1] != "path=/login" {
		t.Errorf("%+v", all[1])
	}
}

func TestMistakesPointAtTheirLine(t *testing.T) {
	for text, want := range map[string]string{
		"[[policy]]\nname = \"a\"\nlimit = 1\nper = \"1s\"\nbrust = 2":                                         "p.toml:5: unknown key policy.brust",
		"[[policy]]\nname = \"a\"\nlimit = -1\nper = \"1s\"":                                                   "p.toml:3: limit: -1 is not between",
		"[[policy]]\nname = \"a\"\nlimit = 1":                                                                  "p.toml:1: per: 0s is not between",
		"\n\n[[policy]]\nname = \"A b\"\nlimit = 1\nper = \"1s\"":                                              "p.toml:4: name: ",
		"[[policy]]\nname = \"a\"\nlimit = 1\nper = \"soon\"":                                                  "p.toml:4: ",
		"[[policy]]\nname = \"a\"\nalgorithm = \"magic\"\nlimit = 1":                                           "p.toml:3: ",
		"[[policy]]\nname = \"a\"\nlimit = 1\nper = \"1s\"\n[[policy]]\nname = \"a\"\nlimit = 1\nper = \"1s\"": "p.toml:6: name: \"a\" is there twice",
		"[[policy]]\nname = \"a\"\nlimit = 1000000001\nper = \"1s\"":                                           "p.toml:3: limit: ",
		"[[policy]]\nname = \"a\"\nlimit = 1\nper = \"366h\"\nburst = 1000000000":                              "p.toml:5: burst: ",
		"[[policy]]\nname = \"a\"\nalgorithm = \"quota\"\nlimit = 1\nper = \"1s\"\nburst = 2":                  "p.toml:6: burst: only gcra",
		"[[policy]]\nname = \"a\"\nalgorithm = \"concurrency\"\nlimit = 5000":                                  "p.toml:4: limit: a key has at most",
		"[[policy]]\nname = \"a\"\nlimit = 1\nper = \"1s\"\ndomain = \"x\"":                                    "p.toml:5: domain: it needs a descriptor",
		"limit = 1":                    "p.toml:1: unknown key limit",
		"[[policy]\nname = 1":          "p.toml:1: ",
		"\x00\xff":                     "p.toml:1: ",
		strings.Repeat("#", MaxSize+1): "p.toml: policies have at most 1024 KiB",
	} {
		_, err := Parse("p.toml", []byte(text))
		var at *ParseError
		if !errors.As(err, &at) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %s", text, err, want)
		}
	}
}

// Whatever a file holds, there are policies that can be used, or an error that says where.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("[[policy]]\nname = \"a\"\nlimit = 9223372036854775807\nper = \"1ns\""))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := Parse("p.toml", text)
		if err != nil {
			var at *ParseError
			if !errors.As(err, &at) {
				t.Fatalf("%T", err)
			}
			return
		}
		for _, p := range all {
			r := p.Rule()
			if _, _, _, err := r.Take(nil, nil, time.Now().UnixNano(), 1, 1); err != nil {
				t.Fatal(err)
			}
		}
	})
}
