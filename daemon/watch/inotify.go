package watch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// source tells of files that became complete.
type source interface {
	Events() <-chan event // closed when there will be no more; then see Err
	Err() error
	Ensure() error // makes the folder, and watches it also when it was replaced
	Close() error
}

// event is a name in the folder, or the news that some were lost.
type event struct {
	name     string
	overflow bool
}

// complete is when nobody writes to a file any more: its writer closed it, or it came by rename. These two cannot be
// told from the mere creation of a file by portable watchers, so this asks the kernel itself.
const complete = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_ONLYDIR

// inotify is the kernel's source.
type inotify struct {
	dir    string
	file   *os.File
	events chan event
	quit   chan struct{}
	once   sync.Once
	err    error // valid when events is closed
}

func openInotify(dir string) (source, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	n := &inotify{dir: dir, file: os.NewFile(uintptr(fd), "inotify"), events: make(chan event), quit: make(chan struct{})}
	if err := n.Ensure(); err != nil {
		return nil, fmt.Errorf("%w (and %v)", err, n.file.Close())
	}
	go n.read()
	return n, nil
}

func (n *inotify) Events() <-chan event { return n.events }
func (n *inotify) Err() error           { return n.err }

// Close ends the reading goroutine.
func (n *inotify) Close() error {
	n.once.Do(func() { close(n.quit) })
	return n.file.Close()
}

// Ensure may be repeated: watching the same folder again changes nothing.
func (n *inotify) Ensure() error {
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return err
	}
	raw, err := n.file.SyscallConn()
	if err != nil {
		return err
	}
	var added error
	err = raw.Control(func(fd uintptr) { _, added = unix.InotifyAddWatch(int(fd), n.dir, complete) })
	if err != nil {
		return err
	}
	return os.NewSyscallError("inotify_add_watch", added)
}

// read turns records of the kernel into events until Close.
func (n *inotify) read() {
	defer close(n.events)
	buf := make([]byte, 64*(unix.SizeofInotifyEvent+unix.NAME_MAX+1))
	for {
		got, err := n.file.Read(buf)
		if err != nil {
			n.err = err
			return
		}
		if !n.send(parse(buf[:got])) {
			return
		}
	}
}

func (n *inotify) send(events []event) bool {
	for _, e := range events {
		select {
		case n.events <- e:
		case <-n.quit:
			n.err = os.ErrClosed
			return false
		}
	}
	return true
}

// parse reads the kernel's records: a header of four 32-bit words, the last one the length of the name.
func parse(b []byte) (events []event) {
	for len(b) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(b[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
		if end > len(b) {
			return events
		}
		name, _, _ := bytes.Cut(b[unix.SizeofInotifyEvent:end], []byte{0})
		if mask&unix.IN_Q_OVERFLOW != 0 {
			events = append(events, event{overflow: true})
		} else if mask&complete != 0 && mask&unix.IN_ISDIR == 0 {
			events = append(events, event{name: string(name)})
		}
		b = b[end:]
	}
	return events
}
