package host

import (
	"slices"
	"strings"
	"testing"
)

func TestAttackInheritedEnvironment(t *testing.T) {
	for _, name := range []string{
		"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "GODEBUG", "GOTRACEBACK", "SSL_CERT_FILE", "HTTPS_PROXY", "BASH_ENV",
		"XTHESEUS_FAULT", "theseus_fault", "AWS_SECRET_ACCESS_KEY",
	} {
		t.Setenv(name, "evil")
	}
	t.Setenv("THESEUS_FAULT", "ours")
	t.Setenv("PATH", "/bin")
	p := &process{spec: spec{env: hostEnv()}}
	for _, v := range p.environ() {
		if strings.HasSuffix(v, "=evil") {
			t.Errorf("%s reaches the service", v)
		}
	}
	for _, v := range []string{"THESEUS_FAULT=ours", "PATH=/bin"} {
		if !slices.Contains(p.environ(), v) {
			t.Errorf("%s does not", v)
		}
	}
}
