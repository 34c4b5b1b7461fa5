package keel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// besideMain is a daemon that is started beside another one, until it is in charge.
func besideMain(run string, c *Client, has func(string) bool) bool {
	put(run, "beside", "")
	switch {
	case has("dies"):
		return false
	case has("hangs"):
		select {}
	case has("refuses"):
		c.Refused(errors.New("the moon is full"))
		return false
	case has("greedy"):
		if _, err := c.Listen(context.Background(), Address{"web", "http", "tcp", "127.0.0.1:0"}); err != nil {
			c.Refused(err)
		}
		return false
	}
	return c.Prepared(context.Background()) == nil && !has("dies-after")
}

// stopperMain stops what another daemon has left.
func stopperMain(run string, has func(string) bool) int {
	text, _ := os.ReadFile(filepath.Join(run, "sleeper"))
	var pid int
	_, _ = fmt.Sscan(string(text), &pid)
	_ = os.WriteFile(filepath.Join(run, "stopper"), nil, 0o600)
	if has("stopper-dies") {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	if pid > 0 {
		_ = syscall.Kill(-pid, syscall.SIGTERM)
	}
	return 0
}

// whenTold tells who this daemon is, and replaces it by what the file "replace" names. The channel is closed when it
// is to end.
func whenTold(ctx context.Context, run string, c *Client, has func(string) bool) <-chan struct{} {
	who := "old"
	if has("new") {
		who = "new"
	}
	known, _ := c.Daemons(ctx)
	text, _ := json.Marshal(charge{who, os.Getpid(), known})
	put(run, "charge", string(text))
	told := make(chan struct{})
	go func() {
		var path []byte
		for len(path) == 0 && ctx.Err() == nil {
			time.Sleep(5 * time.Millisecond)
			path, _ = os.ReadFile(filepath.Join(run, "replace"))
		}
		if ctx.Err() != nil {
			return
		}
		_ = os.Remove(filepath.Join(run, "replace"))
		err := c.Replace(ctx, Program{Path: string(path), Version: "2.0.0"}, Program{Path: os.Args[0], Version: "1.0.0"})
		put(run, "answer", fmt.Sprint(err))
		if err == nil {
			close(told)
		}
	}()
	return told
}

// charge is what a daemon that is ready writes down.
type charge struct {
	Who     string
	PID     int
	Daemons Daemons
}

func put(run, name, text string) {
	_ = os.WriteFile(filepath.Join(run, name+".tmp"), []byte(text), 0o600)
	_ = os.Rename(filepath.Join(run, name+".tmp"), filepath.Join(run, name))
}

// inCharge waits until another daemon than pid is ready.
func (i *instance) inCharge(pid int) charge {
	i.Helper()
	return eventually(i.T, "a daemon in charge", func() (c charge, err error) {
		text, err := os.ReadFile(filepath.Join(i.run, "charge"))
		if err == nil {
			err = json.Unmarshal(text, &c)
		}
		if err == nil && c.PID == pid {
			err = errors.New("still the old one")
		}
		return c, err
	})
}

// replace has the daemon replaced by a new one of these modes, and returns what the old one was told.
func (i *instance) replace(modes ...string) string {
	i.Helper()
	i.ask(modes...)
	return eventually(i.T, "the answer", func() (string, error) {
		text, err := os.ReadFile(filepath.Join(i.run, "answer"))
		return string(text), err
	})
}

// ask is replace without the wait for the answer.
func (i *instance) ask(modes ...string) {
	i.Helper()
	exe, err := os.Executable()
	if err != nil {
		i.Fatal(err)
	}
	script := filepath.Join(i.run, "new.sh")
	text := fmt.Sprintf("#!/bin/sh\nexec %s \"$@\" new %s\n", exe, strings.Join(modes, " "))
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		i.Fatal(err)
	}
	put(i.run, "replace", script)
}

func TestADaemonIsReplaced(t *testing.T) {
	t.Parallel()
	i := launch(t, t.TempDir(), "calm")
	old := i.inCharge(0)
	if answer := i.replace(); answer != "<nil>" {
		t.Fatalf("the old daemon was told %s", answer)
	}
	now := i.inCharge(old.PID)
	if now.Who != "new" || now.Daemons.Last.State != Replaced || now.Daemons.Charge.Version != "2.0.0" ||
		now.Daemons.Previous.Version != "1.0.0" {
		t.Fatalf("in charge is %+v", now)
	}
	i.gone(old.PID)
	_ = syscall.Kill(now.PID, syscall.SIGKILL)
	if again := i.inCharge(now.PID); again.Who != "new" {
		t.Errorf("after a crash the daemon is %s", again.Who)
	}
}

func TestWhatCannotTakeOverLeavesTheOldDaemonInCharge(t *testing.T) {
	for mode, want := range map[string]string{
		"dies":    "it ended before it was in charge: exit status 3",
		"hangs":   "it was not prepared within 3s",
		"refuses": "the moon is full",
		"greedy":  "not in charge yet",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			i := launch(t, t.TempDir(), "calm")
			old := i.inCharge(0)
			if answer := i.replace(mode); !strings.Contains(answer, want) {
				t.Errorf("the old daemon was told %q, want %q", answer, want)
			}
			if pid := i.daemon(); pid != old.PID {
				t.Errorf("the daemon is %d, was %d", pid, old.PID)
			}
		})
	}
}

func TestWhatDiesInChargeMakesRoomForTheOldProgram(t *testing.T) {
	for mode, want := range map[string]string{
		"dies-after": "it ended before it was ready: exit status 3",
		"unready":    "it was not ready within 3s",
		"loops":      "it ended 3 times within 1m0s: exit status 6",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			i := launch(t, t.TempDir(), "calm")
			old := i.inCharge(0)
			if answer := i.replace(mode); answer != "<nil>" {
				t.Fatalf("the old daemon was told %s", answer)
			}
			now := eventually(t, "the old program in charge", func() (charge, error) {
				c := i.inCharge(old.PID)
				if c.Who != "old" {
					return c, errors.New(c.Who)
				}
				return c, nil
			})
			if last := now.Daemons.Last; last.State != Failed || last.Error != want || now.Daemons.Previous.Path != "" {
				t.Errorf("what is told of it: %+v, want %q", now.Daemons, want)
			}
		})
	}
}

func TestAnOldDaemonThatClingsOrDiesIsNoObstacle(t *testing.T) {
	t.Parallel()
	i := launch(t, t.TempDir(), "calm", "clings")
	old := i.inCharge(0)
	if answer := i.replace(); answer != "<nil>" {
		t.Fatalf("the old daemon was told %s", answer)
	}
	if now := i.inCharge(old.PID); now.Who != "new" {
		t.Errorf("in charge is %+v", now)
	}
}

func TestADeathWhileTheNewOneIsPreparedIsACrashLikeAny(t *testing.T) {
	t.Parallel()
	i := launch(t, t.TempDir(), "calm")
	old := i.inCharge(0)
	i.ask("hangs")
	eventually(t, "the new daemon", func() (os.FileInfo, error) { return os.Stat(filepath.Join(i.run, "beside")) })
	_ = syscall.Kill(old.PID, syscall.SIGKILL)
	if now := i.inCharge(old.PID); now.Who != "old" || now.Daemons.Charge.Path != "" {
		t.Errorf("in charge is %+v", now)
	}
}

func TestAStopWithoutADaemonIsInOrder(t *testing.T) {
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprint(dies), func(t *testing.T) {
			t.Parallel()
			modes := []string{"sleeper", "calm"}
			if dies {
				modes = append(modes, "stopper-dies")
			}
			i := launch(t, t.TempDir(), modes...)
			old, sleeper := i.inCharge(0), i.number("sleeper")
			_ = syscall.Kill(old.PID, syscall.SIGSTOP) // the keel's word cannot reach it; its death comes in the stop
			_ = syscall.Kill(i.cmd.Process.Pid, syscall.SIGSTOP)
			_ = syscall.Kill(old.PID, syscall.SIGKILL)
			_ = i.cmd.Process.Signal(syscall.SIGTERM)
			_ = syscall.Kill(i.cmd.Process.Pid, syscall.SIGCONT)
			if code := i.exitCode(); code != 0 {
				t.Errorf("the keel ended with %d", code)
			}
			if _, err := os.Stat(filepath.Join(i.run, "stopper")); err != nil {
				t.Errorf("nobody stopped what ran: %v", err)
			}
			i.gone(sleeper)
		})
	}
}

func TestAFileOfASocketThatIsRemovedComesBack(t *testing.T) {
	i := launch(t, t.TempDir(), "calm")
	old := i.inCharge(0)
	for range 2 {
		if err := os.Remove(filepath.Join(i.run, "web.sock")); err != nil {
			t.Fatal(err)
		}
		if pid := eventually(t, "the socket", func() (int, error) { return i.pid("unix") }); pid != old.PID {
			t.Errorf("the socket leads to %d, not to %d", pid, old.PID)
		}
	}
}

func TestTheWayBackIsNeverTheDaemonInCharge(t *testing.T) {
	old, other := Program{Digest: "a", Path: "/a"}, Program{Digest: "b", Path: "/b"}
	k := &keel{previous: other}
	k.appoint(&replacement{Replacement: Replacement{By: old}, charge: old})
	if k.charge != old || k.previous != other {
		t.Errorf("a daemon replaced by itself goes back to %+v", k.previous)
	}
	k.appoint(&replacement{Replacement: Replacement{By: other}, charge: old})
	if k.charge != other || k.previous != old {
		t.Errorf("in charge is %+v, before it was %+v", k.charge, k.previous)
	}
}
