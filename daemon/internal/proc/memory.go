package proc

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Private is the memory of a process that it shares with nobody, in bytes: without files, which others may have mapped
// too. It is 0 if the process is gone.
func Private(pid int) uint64 {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	return keyed(text, "RssAnon:") << 10
}

// Free is the memory that can still be had here, in bytes: what the kernel calls available, or less if a control group
// that this process is in has less left. Files that are only cached count as free. known is false if nobody can tell.
func Free() (free uint64, known bool) { return freeBelow("/") }

// freeBelow is Free for the files of a kernel below root.
func freeBelow(root string) (free uint64, known bool) {
	if text, err := os.ReadFile(filepath.Join(root, "proc/meminfo")); err == nil {
		if n := keyed(text, "MemAvailable:"); n > 0 {
			free, known = n<<10, true
		}
	}
	for dir := groupOf(root); dir != ""; dir = parent(dir) {
		if left, limited := groupFree(filepath.Join(root, "sys/fs/cgroup", dir)); limited && (!known || left < free) {
			free, known = left, true
		}
	}
	return free, known
}

// groupOf is the control group of this process in the one hierarchy of version 2, "" if there is none.
func groupOf(root string) string {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if dir, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return filepath.Clean("/" + dir)
		}
	}
	return ""
}

func parent(dir string) string {
	if dir == "/" {
		return ""
	}
	return filepath.Dir(dir)
}

// groupFree is what a control group may still have, if it is limited.
func groupFree(dir string) (left uint64, limited bool) {
	limit, err := number(filepath.Join(dir, "memory.max"))
	if err != nil {
		return 0, false // "max", or not there
	}
	used, err := number(filepath.Join(dir, "memory.current"))
	if err != nil {
		return 0, false
	}
	if text, err := os.ReadFile(filepath.Join(dir, "memory.stat")); err == nil {
		cached := keyed(text, "file ")
		used -= min(used, cached-min(cached, keyed(text, "shmem ")))
	}
	return limit - min(limit, used), true
}

func number(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

// keyed finds the number behind a key at the beginning of a line, 0 if it is not there.
func keyed(text []byte, key string) uint64 {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), key); ok {
			n, _ := strconv.ParseUint(strings.Fields(rest + " 0")[0], 10, 64)
			return n
		}
	}
	return 0
}
