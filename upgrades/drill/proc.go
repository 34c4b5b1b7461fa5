package drill

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// memory is what a process occupies, in bytes. Pages of the state log belong to the kernel and count as files.
type memory struct{ anonymous, files uint64 }

func memoryOf(pid int) (m memory, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		var kib uint64
		switch _, _ = fmt.Sscan(value, &kib); name {
		case "RssAnon":
			m.anonymous = kib << 10
		case "RssFile", "RssShmem":
			m.files += kib << 10
		}
	}
	return m, nil
}

func (m memory) String() string {
	return fmt.Sprintf("%.0f MiB (+ %.0f of files)", float64(m.anonymous)/(1<<20), float64(m.files)/(1<<20))
}
