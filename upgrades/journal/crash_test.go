package journal

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestMain plays the process that is killed: it appends for ever and prints the number of each record that is there.
func TestMain(m *testing.M) {
	path := os.Getenv("JOURNAL_TEST_WRITE")
	if path == "" {
		os.Exit(m.Run())
	}
	if err := writeForEver(path); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func writeForEver(path string) error {
	j, records, err := Open(path)
	if err != nil {
		return err
	}
	for i := len(records) + 1; ; i++ {
		seq, err := j.Append(payload(i))
		if err != nil {
			return err
		}
		fmt.Println(seq)
	}
}

func payload(i int) []byte { return []byte(strings.Repeat(strconv.Itoa(i)+" ", i%700+1)) }

func TestKillLosesNothingThatWasAcknowledged(t *testing.T) {
	path := temp(t)
	for round := range 8 {
		last := killAfter(t, path, 20+round*13)
		j, records := must(t, path)
		if len(records) < last {
			t.Fatalf("round %d: %d records, %d were acknowledged", round, len(records), last)
		}
		for i, r := range records {
			if r.Seq != uint64(i+1) || string(r.Payload) != string(payload(i+1)) {
				t.Fatalf("round %d: record %d is %d %.20q", round, i+1, r.Seq, r.Payload)
			}
		}
		_ = j.Close()
	}
}

// killAfter runs the writer until it has acknowledged n records, kills it, and returns the last one that it told of.
func killAfter(t *testing.T, path string, n int) (last int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "JOURNAL_TEST_WRITE="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := 0; lines.Scan(); i++ {
		if last, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatalf("the writer says %s", lines.Text())
		}
		if i == n {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	return last
}
