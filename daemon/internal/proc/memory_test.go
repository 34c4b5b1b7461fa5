package proc

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFree(t *testing.T) {
	const (
		info = "proc/meminfo"
		self = "proc/self/cgroup"
		unit = "sys/fs/cgroup/system.slice/theseus.service/"
		all  = "sys/fs/cgroup/system.slice/"
	)
	for _, c := range []struct {
		name  string
		files map[string]string
		want  uint64
		known bool
	}{
		{name: "nobody can tell"},
		{"no limit", map[string]string{info: "MemTotal: 9 kB\nMemAvailable:    4096 kB\n", self: "0::/\n"}, 4 << 20, true},
		{"a limit", map[string]string{
			info: "MemAvailable: 4096 kB\n", self: "1:cpu:/x\n0::/system.slice/theseus.service\n",
			unit + "memory.max": "3000000\n", unit + "memory.current": "2000000\n",
			unit + "memory.stat": "anon 1\nfile 600000\nshmem 100000\nfile_mapped 7\n",
		}, 1_500_000, true},
		{"a limit above", map[string]string{
			info: "MemAvailable: 4096 kB\n", self: "0::/system.slice/theseus.service\n",
			unit + "memory.max": "max\n", unit + "memory.current": "2000000\n",
			all + "memory.max": "1000\n", all + "memory.current": "2000000\n",
		}, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range c.files {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got, known := freeBelow(root); got != c.want || known != c.known {
				t.Errorf("got %d, %v", got, known)
			}
		})
	}
	if n, known := Free(); !known || n == 0 {
		t.Errorf("here: %d, %v", n, known)
	}
	if n := Private(os.Getpid()); n == 0 || n > RSS(os.Getpid()) {
		t.Errorf("of our own: %d of %d", n, RSS(os.Getpid()))
	}
	if n := Private(1 << 30); n != 0 {
		t.Errorf("of nobody: %d", n)
	}
}
