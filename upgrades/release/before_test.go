package release

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// packBefore makes visits 3.0.0 with the manifests of other versions.
func packBefore(t *testing.T, before ...[]byte) ([]byte, error) {
	t.Helper()
	d := description("visits", "3.0.0")
	binary := filepath.Join(t.TempDir(), "visits")
	write(t, binary, service("say "+string(d)))
	var b bytes.Buffer
	err := Pack(&b, manifest("visits", "3.0.0"), binary, d, Signer{Key: secret, At: signedAt}, before...)
	return b.Bytes(), err
}

func TestPackageTellsOfItsPredecessors(t *testing.T) {
	one, two := manifest("visits", "1.0.0"), manifest("visits", "2.0.0")
	text, err := packBefore(t, one, two)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := packBefore(t, two, one); !bytes.Equal(text, again) {
		t.Error("the order of the manifests counts")
	}
	s := store(t)
	p, err := drop(t, s, "visits-3.0.0.tpk", text)
	if err != nil || len(p.Before) != 2 || p.Before[0].Version != "2.0.0" || p.Before[1].Version != "1.0.0" {
		t.Errorf("%+v, %v", p, err)
	}
	list, err := s.Versions("visits")
	if err != nil || len(list) != 1 || len(list[0].Before) != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := s.Versions("cache"); err != nil || len(list) > 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestOnlyEarlierVersionsArePredecessors(t *testing.T) {
	for name, c := range map[string]struct {
		before [][]byte
		want   string
	}{
		"itself":          {[][]byte{manifest("visits", "3.0.0")}, "visits 3.0.0 is no earlier version of visits 3.0.0"},
		"another service": {[][]byte{manifest("cache", "1.0.0")}, "cache 1.0.0 is no earlier version of visits 3.0.0"},
		"twice":           {[][]byte{manifest("visits", "1.0.0"), manifest("visits", "1.0.0")}, "visits 1.0.0 is there twice"},
		"no manifest":     {[][]byte{[]byte("colour = 3\n")}, "an earlier version: appup.toml:1:1: unknown key"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := packBefore(t, c.before...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("packed: %v", err)
			}
			p := goodParts("visits", "3.0.0").meta("visits", "3.0.0", func(m *meta) {
				for _, text := range c.before {
					m.Before = append(m.Before, string(text))
				}
			})
			s := store(t)
			_, err := drop(t, s, "visits-3.0.0.tpk", p.bytes())
			refused(t, s, err, "visits-3.0.0.tpk", c.want)
		})
	}
}

// However long the history is, the package stays one that can be taken in: the newest come along.
func TestPredecessorsHaveLimitedRoom(t *testing.T) {
	var before [][]byte
	for n := range 20 {
		text := manifest("visits", fmt.Sprintf("1.%d.0", n))
		before = append(before, append(text, []byte("# "+strings.Repeat("x", 30<<10)+"\n")...))
	}
	text, err := packBefore(t, before...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := drop(t, store(t), "visits-3.0.0.tpk", text)
	if err != nil || len(p.Before) != 8 || p.Before[0].Version != "1.19.0" {
		t.Errorf("%d predecessors, %v", len(p.Before), err)
	}
}

// The same files with a package.json that cannot be used are refused, and what is in the store stays as it is: it may serve.
func TestAnotherSignatureOfTheSameFilesDamagesNothing(t *testing.T) {
	s := store(t)
	p, err := drop(t, s, "any", good("visits", "1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	again := goodParts("visits", "1.0.0").meta("visits", "1.0.0", func(m *meta) { m.Seq++; m.Before = []string{"no manifest"} })
	_, err = drop(t, s, "any", again.bytes())
	var no *RejectError
	if !errors.As(err, &no) || !strings.Contains(no.Reason, "an earlier version") {
		t.Errorf("refused: %v", err)
	}
	if _, err := s.Get(p.Digest); err != nil {
		t.Errorf("what serves would not start again: %v", err)
	}
}
