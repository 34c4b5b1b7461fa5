// Package proc knows processes by an identity that the kernel never gives out twice: pid, start time and boot. A pid
// alone may belong to a stranger by the time it is used.
//
// A [Handle] is a pidfd: once it is open, signals and the news of the death are about exactly that process, whether
// it is a child of this one or not. Linux 5.10 or newer is needed.
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// ErrGone says that the process of that identity does not run any more.
var ErrGone = errors.New("the process is gone")

// ID names one process for ever.
type ID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after the boot
	Boot  string `json:"boot"`
}

// Of returns the identity of the process that has the pid now. A zombie counts as gone.
func Of(pid int) (ID, error) {
	s, err := readStat(pid)
	if err != nil {
		return ID{}, err
	}
	boot, err := bootID()
	if err != nil {
		return ID{}, err
	}
	return ID{PID: pid, Start: s.start, Boot: boot}, nil
}

// Alive reports whether the process still runs.
func (id ID) Alive() bool {
	now, err := Of(id.PID)
	return err == nil && now == id
}

func (id ID) String() string { return fmt.Sprintf("%d-%d", id.PID, id.Start) }

// bootID differs after every boot; without it a start time could come again.
var bootID = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text)), err
})

// stat is what we need of /proc/PID/stat.
type stat struct {
	state  byte
	parent int
	start  uint64
	pages  uint64 // resident
}

// Fields of /proc/PID/stat, counted after the name of the program, which may itself hold spaces and brackets.
const (
	fieldState  = 0
	fieldParent = 1
	fieldStart  = 19
	fieldPages  = 21
)

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, fmt.Errorf("pid %d: %w", pid, ErrGone)
	}
	s, err := parseStat(text)
	if err != nil {
		return stat{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	if s.state == 'Z' || s.state == 'X' {
		return stat{}, fmt.Errorf("pid %d: %w", pid, ErrGone)
	}
	return s, nil
}

func parseStat(text []byte) (s stat, err error) {
	end := bytes.LastIndexByte(text, ')')
	fields := strings.Fields(string(text[end+1:]))
	if end < 0 || len(fields) <= fieldPages {
		return s, errors.New("not what the kernel writes")
	}
	s.state = fields[fieldState][0]
	if s.parent, err = strconv.Atoi(fields[fieldParent]); err != nil {
		return s, err
	}
	if s.start, err = strconv.ParseUint(fields[fieldStart], 10, 64); err != nil {
		return s, err
	}
	s.pages, err = strconv.ParseUint(fields[fieldPages], 10, 64)
	return s, err
}

// Stopped is true while a signal keeps all of a process from running: SIGSTOP and its like, not a debugger.
func Stopped(pid int) bool {
	s, err := readStat(pid)
	return err == nil && s.state == 'T'
}

// Traced is true while somebody traces the process, as a debugger does.
func Traced(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	return err == nil && keyed(text, "TracerPid:") > 0
}

// RSS is the resident memory of a process in bytes, 0 if it is gone.
func RSS(pid int) uint64 {
	s, err := readStat(pid)
	if err != nil {
		return 0
	}
	return s.pages * uint64(os.Getpagesize())
}

// Children lists the live processes whose parent is pid.
func Children(pid int) ([]ID, error) {
	return find(func(child int) bool {
		s, err := readStat(child)
		return err == nil && s.parent == pid
	})
}

// Running lists the live processes whose program lies below the directory, those whose file was deleted included.
func Running(dir string) ([]ID, error) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // as the kernel tells it
	}
	prefix := strings.TrimSuffix(dir, "/") + "/"
	return find(func(pid int) bool {
		exe, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "exe"))
		return err == nil && strings.HasPrefix(exe, prefix)
	})
}

func find(want func(pid int) bool) ([]ID, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var ids []ID
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !want(pid) {
			continue
		}
		if id, err := Of(pid); err == nil {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
