package main

import (
	"bufio"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// isReady is what a server says when clients may come: redis-server, and the cache in a process of its own.
const isReady = "Ready to accept connections"

// startProcess starts a server, which ends with the test, and returns when clients may come.
func startProcess(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.Contains(lines.Text(), isReady) {
				close(ready)
			}
		}
	}()
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); <-ended; _ = cmd.Wait() })
	select {
	case <-ready:
	case <-ended:
		t.Fatalf("%s has ended at once", cmd)
	case <-time.After(time.Minute):
		t.Fatalf("%s is not ready", cmd)
	}
}

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
	startProcess(t, cmd)
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
