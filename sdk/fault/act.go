package fault

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// act does what the entry says.
func (b *board) act(e entry, name string) {
	line := fmt.Sprintf("%s %d %s\n", b.process, os.Getpid(), name)
	if e.trace != "" {
		_ = note(e.trace, os.O_APPEND, line) // a trace that cannot be written must not change what happens
		return
	}
	if b.dir == "" || note(filepath.Join(b.dir, "fired-"+b.name), os.O_EXCL, line) == nil {
		raise(e.signal)
	}
}

// note writes one line, in one piece.
func note(path string, how int, line string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|how, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(line)
	return err
}

// raise sends the signal to this very thread: the kernel acts on it before the thread runs on, and takes all others
// along.
func raise(s syscall.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = syscall.Tgkill(os.Getpid(), syscall.Gettid(), s)
}
