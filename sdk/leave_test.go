package sdk

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/state"
)

const leaveEnv = "SDK_TEST_LEAVE"

// tallying counts with a verb.
func tallying() Service {
	return Service{Name: "tallying", Version: "1.0.0", Setup: func(s *Setup) error {
		t := state.NewTable(s, "counts", state.Schema[countV1]{Name: "count", Version: 1})
		s.Verb(Verb{Name: "bump", Short: "Count", Run: func(context.Context, []string) (string, error) {
			v, err := t.Update("all", func(v countV1, _ bool) (countV1, error) { v.Count++; return v, nil })
			return strconv.FormatInt(v.Count, 10), err
		}})
		return nil
	}}
}

// leaver is the process that is killed: it counts, tells of each count, and leaves as one does whose lease has run out.
func leaver(t *testing.T, dir string) {
	l, err := StartLocal(t.Context(), tallying(), LocalOptions{StateDir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	counting := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			if n == 50 {
				close(counting)
			}
			if text, err := l.Verb(context.Background(), "bump"); err == nil {
				fmt.Println("count", text)
			}
		}
	}()
	<-counting
	fmt.Println("leaving")
	l.rt.leaveAlone()
}

// A process whose lease has run out ends by itself, in order. Whoever kills it in the middle of that costs nothing that
// was acknowledged, and the next process starts on what it left.
func TestKillOfAProcessThatLeavesLosesNothing(t *testing.T) {
	if dir := os.Getenv(leaveEnv); dir != "" {
		leaver(t, dir)
		return
	}
	dir, last := t.TempDir(), 0
	for round := range 10 {
		last = max(last, killLeaver(t, dir, time.Duration(round)*time.Millisecond))
		l, err := StartLocal(t.Context(), tallying(), LocalOptions{StateDir: dir, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		text, err := l.Verb(t.Context(), "bump")
		if now, _ := strconv.Atoi(text); err != nil || now < last+1 {
			t.Fatalf("round %d: %d was acknowledged, the next count is %s, %v", round, last, text, err)
		}
		l.Close()
	}
}

// killLeaver returns the last count that was told of.
func killLeaver(t *testing.T, dir string, after time.Duration) (last int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKillOfAProcessThatLeavesLosesNothing$")
	cmd.Env = append(os.Environ(), leaveEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "count "); ok {
			if n, err := strconv.Atoi(text); err == nil {
				last = n
			}
		}
		if lines.Text() == "leaving" {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
	}
	_ = cmd.Wait()
	if last == 0 {
		t.Fatal("it has counted nothing")
	}
	return last
}
