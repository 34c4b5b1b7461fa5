package supervise

import (
	"errors"
	"os/exec"
	"testing"
	"time"
)

// shell is a child that runs a script which says when it is ready.
func shell(t *testing.T, script string) (Child, chan error) {
	t.Helper()
	cmd := exec.Command("sh", "-c", script)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	c := Program(cmd)
	t.Cleanup(c.Kill)
	ended := make(chan error, 1)
	c.Watch(func(reason error) { ended <- reason })
	return c, ended
}

func TestWhyAProgramEnds(t *testing.T) {
	again := errors.New("for an upgrade")
	for _, tc := range []struct {
		name, script string
		do           func(Child)
		want         string
	}{
		{"it is done", "echo ready; read x < /dev/null; exit 0", func(Child) {}, "<nil>"},
		{"it fails", "echo ready; exit 3", func(Child) {}, "exit status 3"},
		{"somebody kills it", "echo ready; kill -9 $$", func(Child) {}, "signal: killed"},
		{"it is killed by us", "echo ready; exec sleep 60", Child.Kill, "killed"},
		{"it is asked to end", "echo ready; exec sleep 60", func(c Child) { c.Shutdown(again) }, "for an upgrade"},
		{"it ends in order", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done", func(c Child) { c.Shutdown(again) }, "<nil>"},
		{"it fails on the way", "trap 'exit 4' TERM; echo ready; while :; do sleep 0.01; done", func(c Child) { c.Shutdown(again) }, "exit status 4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, ended := shell(t, tc.script)
			tc.do(c)
			select {
			case reason := <-ended:
				if got := text(reason); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it does not end")
			}
			again := make(chan error, 1)
			c.Watch(func(reason error) { again <- reason }) // at once, when it has ended already
			if got := text(<-again); got != tc.want {
				t.Errorf("who watches later is told %s", got)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return "<nil>"
	}
	return err.Error()
}
