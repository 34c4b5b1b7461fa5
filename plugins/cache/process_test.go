package main

import (
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/theseusd/theseus/sdk/sdktest"
)

// redisProcess starts a redis-server, if the machine has one.
func redisProcess(t testing.TB) (cmd *exec.Cmd, addr string, ok bool) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, "", false
	}
	addr = freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	cmd = exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	_, out := sdktest.Run(t, cmd)
	for line := ""; !strings.Contains(line, "Ready to accept connections"); {
		if line, err = out.ReadString('\n'); err != nil {
			t.Fatalf("%s: %v", cmd, err)
		}
	}
	go io.Copy(io.Discard, out) //nolint:errcheck // up to its end
	return cmd, addr, true
}

func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
