package release

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/theseusd/theseus/sdk/describe"
)

const (
	describeTimeout = 10 * time.Second
	describeGrace   = time.Second // for its output to be closed after it was killed
	busyPoll        = 2 * time.Millisecond
	maxDescribe     = 1 << 20 // bytes of JSON
	maxComplaint    = 2 << 10 // bytes of stderr that are kept
)

// DescribeError says that a binary did not answer --describe as a service does.
type DescribeError struct {
	Reason string
	Err    error // may be nil
}

func (e *DescribeError) Error() string { return e.Reason }
func (e *DescribeError) Unwrap() error { return e.Err }

// Describe runs `binary --describe` and returns the JSON that it prints. The binary has an environment of three variables,
// an empty working directory and ten seconds. If it is to blame, the error is a *DescribeError.
func Describe(ctx context.Context, binary string) ([]byte, error) {
	return describeIn(ctx, binary, "")
}

// describeIn is Describe with the working directory in parent, where it does not outlive the call.
func describeIn(ctx context.Context, binary, parent string) ([]byte, error) {
	dir, err := os.MkdirTemp(parent, "theseus-describe-")
	if err != nil {
		return nil, err
	}
	text, err := run(ctx, binary, dir, describeTimeout)
	if left := os.RemoveAll(dir); left != nil {
		err = errors.Join(err, left)
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

func run(ctx context.Context, binary, dir string, timeout time.Duration) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out, complaint := &capped{limit: maxDescribe}, &capped{limit: maxComplaint, forgiving: true}
	cmd, err := start(limited, func() *exec.Cmd { return command(limited, binary, dir, out, complaint) })
	if err != nil && ctx.Err() == nil {
		return nil, cannotStart(err)
	}
	if err != nil {
		return nil, context.Cause(ctx)
	}
	err = cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		_ = cmd.Cancel() // it left a child behind, which holds its output: the group is still there
	}
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case out.over:
		return nil, &DescribeError{Reason: fmt.Sprintf("`service --describe` prints more than %d bytes", maxDescribe)}
	case limited.Err() != nil:
		return nil, &DescribeError{Reason: fmt.Sprintf("`service --describe` did not end within %s", timeout)}
	case err != nil:
		return nil, &DescribeError{Reason: "`service --describe` failed: " + because(err, string(complaint.kept)), Err: err}
	}
	return out.kept, nil
}

// command is the binary in an environment and a process group of its own, so that it can be killed with its children.
func command(ctx context.Context, binary, dir string, out, complaint io.Writer) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, "--describe")
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + dir, "TMPDIR=" + dir}
	cmd.Stdout, cmd.Stderr = out, complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = describeGrace
	return cmd
}

// start starts a binary that was written a moment ago. A child that is being started elsewhere at that moment has a copy
// of the descriptor that it was written through, and until that child has executed the kernel calls the binary busy.
// Nothing tells when it is over (syscall.ForkLock does not: a child lets its parent go on before it closes what is marked
// close-on-exec), so start asks again until ctx ends. Once it has run nobody can hold such a copy any more.
func start(ctx context.Context, newCommand func() *exec.Cmd) (*exec.Cmd, error) {
	again := time.NewTicker(busyPoll)
	defer again.Stop()
	for {
		cmd := newCommand()
		busy := cmd.Start()
		if !errors.Is(busy, syscall.ETXTBSY) {
			return cmd, busy
		}
		<-again.C
		if ctx.Err() != nil {
			return nil, busy
		}
	}
}

// cannotStart tells a binary that cannot run here from a machine that cannot run anything.
func cannotStart(err error) error {
	if errors.Is(err, syscall.ENOEXEC) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EINVAL) {
		return &DescribeError{Reason: "the binary cannot be started here: " + err.Error(), Err: err}
	}
	return fmt.Errorf("start `service --describe`: %w", err)
}

func because(err error, complaint string) string {
	if complaint = strings.TrimSpace(complaint); complaint == "" {
		return err.Error()
	}
	return fmt.Sprintf("%s: %s", err, complaint)
}

// capped keeps the first bytes that are written to it. More of them are an error, or forgiven. It embeds no buffer: that
// would bring methods along which know no limit.
type capped struct {
	kept      []byte
	limit     int
	forgiving bool
	over      bool
}

func (c *capped) Write(b []byte) (int, error) {
	room := c.limit - len(c.kept)
	if len(b) <= room {
		c.kept = append(c.kept, b...)
		return len(b), nil
	}
	c.over = true
	c.kept = append(c.kept, b[:room]...)
	if c.forgiving {
		return len(b), nil
	}
	return room, io.ErrShortWrite
}

// parseDescribe reads a description.
func parseDescribe(text []byte) (d describe.Service, err error) {
	if err := json.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("%s is no description of a service: %w", describeFile, err)
	}
	return d, nil
}

// sameJSON says whether two texts mean the same.
func sameJSON(a, b []byte) bool {
	x, errX := generic(a)
	y, errY := generic(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func generic(text []byte) (v any, err error) {
	if !json.Valid(text) {
		return nil, errors.New("no JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return v, dec.Decode(&v)
}
