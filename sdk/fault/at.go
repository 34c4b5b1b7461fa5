package fault

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

// Env is the environment variable that says what is to happen.
const Env = "THESEUS_FAULT"

// live is nil while nothing is on.
var live atomic.Pointer[board]

// At says that the process is at the point now. It returns, unless the environment wants otherwise.
func At(p Point) {
	if b := live.Load(); b != nil {
		b.reach(p.String())
	}
}

// AtOne is At for a point that is many: which stands behind the slash.
func AtOne(p Point, which string) {
	if b := live.Load(); b != nil {
		b.reach(p.String() + which)
	}
}

// Enable turns on what THESEUS_FAULT says; without the variable it does nothing. The name is that of this process.
//
// The variable is a list of [process@]point[:nth]=kill|stop|trace:FILE, separated by commas; the point * is every one.
// So daemon@record.after/committed=kill ends each daemon that has journaled a commit. If it begins with a slash it
// is a directory instead: its file "plan" has such a list, which is read anew at each point, and a name for it behind
// a #. The first process that is killed or stopped makes the file "fired-NAME", which keeps all others from it.
func Enable(process string) error {
	text := os.Getenv(Env)
	if text == "" {
		return nil
	}
	b := &board{process: process}
	if strings.HasPrefix(text, "/") {
		b.dir = text
	} else if err := b.read(text); err != nil {
		return fmt.Errorf("%s: %w", Env, err)
	}
	live.Store(b)
	return nil
}

// board is what is on in this process.
type board struct {
	process string
	dir     string // "" if the variable is the plan itself

	mu    sync.Mutex
	text  string
	name  string // of the plan, if it is in a directory
	plan  []entry
	count map[int]int // how often each entry was reached
}

// read makes a text the plan; one that was read before goes on.
func (b *board) read(text string) error {
	if text == b.text {
		return nil
	}
	list, name, _ := strings.Cut(text, "#")
	plan, err := parse(list)
	b.text, b.name, b.plan, b.count = text, strings.TrimSpace(name), plan, map[int]int{}
	return err
}

func (b *board) reach(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir != "" {
		text, err := os.ReadFile(filepath.Join(b.dir, "plan"))
		if err != nil || b.read(string(text)) != nil {
			return
		}
	}
	for i, e := range b.plan {
		if !e.fits(b.process, name) {
			continue
		}
		if b.count[i]++; e.trace != "" || b.count[i] == e.nth {
			b.act(e, name)
		}
	}
}
