package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// proc is a process; signals reach it or nobody.
type proc struct {
	pid int
	fd  int
}

func hold(pid int) (proc, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	return proc{pid, fd}, err
}

func (p proc) signal(s syscall.Signal) { _ = unix.PidfdSendSignal(p.fd, s, nil, 0) }
func (p proc) close()                  { _ = unix.Close(p.fd) }

func (p proc) gone() bool {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}

// crowd are the processes of one instance.
type crowd struct {
	daemons  []int
	services map[string][]int // by version
	dead     int              // that nobody has reaped
}

// look finds the processes below a keel, and all that run from the store, whoever their parent is.
func (in *instance) crowd() crowd {
	c := crowd{services: map[string][]int{}}
	list, _ := filepath.Glob("/proc/[0-9]*/stat")
	type one struct {
		parent int
		exe    string
		zombie bool
	}
	all := map[int]one{}
	for _, path := range list {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
		if len(fields) < 2 {
			continue
		}
		parent, _ := strconv.Atoi(string(fields[1]))
		exe, _ := os.Readlink(filepath.Dir(path) + "/exe")
		all[pid] = one{parent, strings.TrimSuffix(exe, " (deleted)"), fields[0][0] == 'Z'}
	}
	keel := in.keel()
	for pid, p := range all {
		digest, ours := strings.CutPrefix(filepath.Dir(p.exe), in.path("store")+"/")
		switch {
		case p.zombie:
			if p.parent == keel || all[p.parent].parent == keel && keel != 0 {
				c.dead++
			}
		case ours:
			v := in.versionOf(digest)
			c.services[v] = append(c.services[v], pid)
		case p.parent == keel && p.exe == in.yard.theseusd:
			c.daemons = append(c.daemons, pid)
		}
	}
	return c
}

// versionOf reads what package lies in the store under a digest.
func (in *instance) versionOf(digest string) string {
	if v, ok := in.digests[digest]; ok {
		return v
	}
	var meta struct{ Version string }
	text, err := os.ReadFile(in.path("store", digest, "package.json"))
	if err != nil || json.Unmarshal(text, &meta) != nil {
		return "?"
	}
	in.digests[digest] = meta.Version
	return meta.Version
}

// descriptors counts the open files of a process.
func descriptors(pid int) int {
	list, _ := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	return len(list)
}
