package trust

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What minisign 0.11 has made: minisign -G -W; minisign -S -t "$comment".
const (
	minisignPub = `untrusted comment: minisign public key DF61C5256E2239B6
RWS2OSJuJcVh3/vN45pbHbQ1ly9VooCqxYW32Rcl8Mhq0R1LyN1hAO4t
`
	minisignKey = `untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAtjkibiXFYd9nKk6yke7G3Q33T4pWp2Dya2PAnlXEyxaSBazEsdAuDPvN45pbHbQ1ly9VooCqxYW32Rcl8Mhq0R1LyN1hAO4tAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
`
	minisignSignature = `untrusted comment: signature from minisign secret key
RUS2OSJuJcVh326+XEFJH8QclS6MUbsznY+IdHStRlmKxCkvXX0m1g7eLuLZBkCLB5qpFB1mYp+CSWVjWQeLTJYPlE42ZdUAKQs=
trusted comment: theseus package visits 1.0.0 seq 1
SE11sRtxQTPUJ1RjxB6pdnjSOedmsZ08qiitOveGxdfTb7Cpf/Dwua9iH0kJsN7obQkSBSsGtwZzMHS4qqFKCg==
`
)

func TestWhatMinisignMakesIsUnderstood(t *testing.T) {
	d := Of(t.TempDir())
	k, err := ParseKey([]byte(minisignPub))
	if err != nil || k.ID != "DF61C5256E2239B6" || k.Comment != "minisign public key DF61C5256E2239B6" {
		t.Fatal(k, err)
	}
	if _, err := d.Add(k); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Verify([]byte("hello\n"), []byte(minisignSignature), comment); err != nil {
		t.Error(err)
	}
	s, err := ParseSecret([]byte(minisignKey))
	if err != nil || s.Public().Public != k.Public {
		t.Fatal(s.Public(), err)
	}
	got, want := strings.Split(string(s.Sign([]byte("hello\n"), comment)), "\n"), strings.Split(minisignSignature, "\n")
	for i := 1; i < 4; i++ { // all but the untrusted comment
		if got[i] != want[i] {
			t.Errorf("line %d: %s, want %s", i+1, got[i], want[i])
		}
	}
}

func TestMinisignUnderstandsWhatWeMake(t *testing.T) {
	tool, err := exec.LookPath("minisign")
	if err != nil {
		t.Skip("SKIPPED: there is no minisign here (apt-get install minisign)")
	}
	d, s := instance(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "package.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".minisig", s.Sign([]byte(text), comment), 0o600); err != nil {
		t.Fatal(err)
	}
	pub := filepath.Join(d.Path(), string(s.Public().ID)+".pub")
	for _, args := range [][]string{{"-Vm", file, "-p", pub}, {"-Vm", file, "-P", s.Public().Public}, {"-VHm", file, "-p", pub}} {
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil || !strings.Contains(string(out), "Trusted comment: "+comment) {
			t.Errorf("minisign %v: %v\n%s", args, err, out)
		}
	}
	// and it signs with our key
	if out, err := exec.Command(tool, "-W", "-Sm", file, "-s", d.LocalKey(), "-t", comment).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	signature, err := os.ReadFile(file + ".minisig")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Verify([]byte(text), signature, comment); err != nil {
		t.Error(err)
	}
}
