package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/control"
)

// file is the current file of the log, with the older ones beside it.
type file struct {
	path string
	max  int64
	f    *os.File // nil until it is needed
	size int64    // of the whole lines in f
	torn bool     // what is behind them was not to be written

	seq   uint64          // the highest number in any file
	first uint64          // the lowest; what is below was in a file that is gone
	seen  map[uint64]bool // all numbers; nil after missing
}

func newFile(path string, size int64) *file {
	return &file{path: path, max: size, seen: map[uint64]bool{}}
}

// name is that of the current file for 0, else of the nth older one.
func (f *file) name(n int) string {
	if n == 0 {
		return f.path
	}
	return fmt.Sprintf("%s.%d", f.path, n)
}

// scan reads all files, the oldest first, and returns what is from no journal.
func (f *file) scan() (own []control.Event, err error) {
	for n := files - 1; n >= 0; n-- {
		list, rerr := f.read(f.name(n))
		own, err = append(own, list...), errors.Join(err, rerr)
	}
	return own, err
}

func (f *file) read(name string) (own []control.Event, err error) {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read from
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return own, nil
		}
		if err != nil {
			return own, err
		}
		if e, ok := decode(line); ok && e.Seq == 0 {
			own = append(own, e)
		} else if ok {
			f.note(e.Seq)
		}
	}
}

// decode reads a line; one from the journal only as far as its number.
func decode(line []byte) (e control.Event, ok bool) {
	if !json.Valid(line) {
		return e, false
	}
	if n, err := fmt.Sscanf(string(line[:min(len(line), 40)]), `{"seq":%d,`, &e.Seq); n == 1 && err == nil {
		return e, true
	}
	err := json.Unmarshal(line, &e)
	return e, err == nil && e.Kind != ""
}

func (f *file) note(seq uint64) {
	if f.seen[seq] = true; f.first == 0 || seq < f.first {
		f.first = seq
	}
	f.seq = max(f.seq, seq)
}

// missing are the journal's events that should be in the files and are not. Those after the highest number are left to
// be asked for.
func (f *file) missing(all []control.Event) (list []control.Event) {
	for _, e := range all {
		if e.Seq > f.first && e.Seq < f.seq && !f.seen[e.Seq] {
			list = append(list, e)
		}
	}
	f.seen = nil
	return list
}

// append writes whole lines or nothing.
func (f *file) append(text []byte) error {
	if err := f.ready(int64(len(text))); err != nil {
		return err
	}
	n, err := f.f.Write(text)
	if err == nil {
		f.size += int64(n)
		return nil
	}
	f.torn = true
	_ = f.mend() // else before the next lines
	return err
}

// mend takes back what was written in part, be it whole lines: they are written again.
func (f *file) mend() error {
	if !f.torn {
		return nil
	}
	err := f.f.Truncate(f.size)
	f.torn = err != nil
	return err
}

// ready opens the file, a new one if there is no room for n more bytes or if somebody has taken it away.
func (f *file) ready(n int64) error {
	if f.f != nil && f.replaced() {
		f.close()
	}
	if f.f == nil {
		if err := f.open(); err != nil {
			return err
		}
	}
	if err := f.mend(); err != nil {
		return err
	}
	if f.size == 0 || f.size+n <= f.max {
		return nil
	}
	f.close()
	if err := f.rotate(); err != nil {
		return err
	}
	return f.open()
}

func (f *file) replaced() bool {
	now, err := os.Lstat(f.path)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	own, err := f.f.Stat()
	return err != nil || !os.SameFile(now, own)
}

func (f *file) close() {
	_ = f.f.Close() // what it holds was written or will be written again
	f.f, f.torn = nil, false
}

// rotate makes each file the next older one, up to the first that has room, as after a rotation that failed half-way; the oldest
// goes if there is none.
func (f *file) rotate() error {
	room := 1
	for room < files-1 && exists(f.name(room)) {
		room++
	}
	for n := room - 1; n >= 0; n-- {
		if err := os.Rename(f.name(n), f.name(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// open cuts off a torn end.
func (f *file) open() error {
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	f.size, err = whole(file)
	if err = errors.Join(err, file.Chmod(0o600)); err == nil {
		err = file.Truncate(f.size)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.f = file
	return nil
}

// tail is how much of a file is looked at for its last whole line.
const tail = 1 << 20

// whole is the offset after the last whole line that is JSON.
func whole(file *os.File) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	from := max(info.Size()-tail, 0)
	text := make([]byte, info.Size()-from)
	if _, err := file.ReadAt(text, from); err != nil && err != io.EOF {
		return 0, err
	}
	for end := bytes.LastIndexByte(text, '\n'); end >= 0; end = bytes.LastIndexByte(text[:end], '\n') {
		if begin := bytes.LastIndexByte(text[:end], '\n') + 1; json.Valid(text[begin:end]) {
			return from + int64(end) + 1, nil
		}
	}
	return from, nil
}
