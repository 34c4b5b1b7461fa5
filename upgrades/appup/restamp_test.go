package appup

import (
	"strings"
	"testing"
)

func TestRestamp(t *testing.T) {
	text := `# The version = "0.0.0" of old.
name    = "visits"
version = '2.0.0' # raise it
listen  = [{ name = "http", address = "127.0.0.1:80" }]

[[up]]
from = "~1.0"
do   = "restart"
`
	got, err := Restamp("appup.toml", []byte(text), "2.0.1-dev.3", []Way{{"2.0.1-dev.2", Load}, {"1.0.0", Update}})
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(text, "'2.0.0'", `"2.0.1-dev.3"`, 1); !strings.HasPrefix(string(got), want) {
		t.Errorf("the text has changed:\n%s", got)
	}
	m, err := Parse("appup.toml", got)
	if err != nil {
		t.Fatal(err)
	}
	to := Version{Manifest: m}
	for from, want := range map[string]Do{"2.0.1-dev.2": Load, "1.0.0": DoRestart} { // its own section comes first
		old, err := Parse("", []byte(`name = "visits"`+"\n"+`version = "`+from+`"`+"\n"+`listen = [{ name = "http", address = "127.0.0.1:80" }]`))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := Compile(Version{Manifest: old}, to); err != nil || r.Do != want {
			t.Errorf("from %s: %+v, %v", from, r, err)
		}
		if r, err := Compile(to, Version{Manifest: old}); err != nil || (from == "1.0.0") != (r.Do == Update) {
			t.Errorf("back to %s: %+v, %v", from, r, err)
		}
	}
}

func TestRestampRefusesWhatItCannotRead(t *testing.T) {
	for name, text := range map[string]string{
		"a mistake": "name = \"a\"\nversion = \"1.0.0\"\nnonsense = 1\n",
		"inline":    "name = \"a\"\nversion = \"1.0.0\"\nup = [{ from = \"~0.1\", do = \"load\" }]\n",
	} {
		if _, err := Restamp("appup.toml", []byte(text), "1.0.1-dev.1", []Way{{"1.0.0", Load}}); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}
