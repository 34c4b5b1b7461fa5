package sdktest

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/theseusd/theseus/sdk"
)

// processEnv holds the Options of a process that StartProcess has started.
const processEnv = "THESEUS_SDKTEST_PROCESS"

// Main is the TestMain of a package that calls StartProcess: it runs the tests, or s if this is such a process.
func Main(m *testing.M, s sdk.Service) {
	text := os.Getenv(processEnv)
	if text == "" {
		os.Exit(m.Run())
	}
	if err := serve(s, text); err != nil {
		_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
		os.Exit(1)
	}
}

// serve tells the addresses of its listeners and runs s until nobody holds the other end of its input.
func serve(s sdk.Service, options string) error {
	var o Options
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		return err
	}
	d, err := sdk.Describe(s)
	if err != nil {
		return err
	}
	listeners, addresses := map[string]net.Listener{}, map[string]string{}
	for _, name := range d.Listeners {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		listeners[name], addresses[name] = ln, ln.Addr().String()
	}
	local, err := sdk.StartLocal(context.Background(), s, sdk.LocalOptions{
		StateDir: o.StateDir, Config: []byte(o.Config), Listeners: listeners, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	defer local.Close()
	if err := json.NewEncoder(os.Stdout).Encode(addresses); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// Process is a service in a process of its own, for tests that kill it.
type Process struct {
	cmd       *exec.Cmd
	addresses map[string]string
}

// StartProcess runs the service of Main until the test ends, on o.StateDir, which must be there.
func StartProcess(t testing.TB, o Options) *Process {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), processEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	_, out := Run(t, p.cmd)
	line, err := out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.addresses)
	}
	if err != nil {
		t.Fatalf("the process did not start: %v", err)
	}
	return p
}

// Addr is where the listener of that name serves.
func (p *Process) Addr(listener string) string { return p.addresses[listener] }

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill kills it, as kill -9 does, and waits for its end.
func (p *Process) Kill() { Kill(p.cmd) }
