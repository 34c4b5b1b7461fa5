package daemon

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	api "github.com/theseusd/theseus/sdk/control"
	"github.com/theseusd/theseus/upgrades/trust"
)

// worries are the warnings of the status. They read files, and a status is asked for often.
type worries struct {
	mu   sync.Mutex
	at   time.Time
	list []string
}

const worryEvery = time.Second

// warnings tell what an operator should know though nothing fails of it yet.
func (d *Daemon) warnings() []string {
	w := &d.worries
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.at) >= worryEvery {
		w.list, w.at = d.findWorries(), time.Now()
	}
	return slices.Clone(w.list)
}

func (d *Daemon) findWorries() []string {
	var list []string
	if err := d.paths.Check(); err != nil {
		list = append(list, "no package is taken and nothing is built: "+withHint(err))
	}
	if err := d.file.unkept(); err != nil {
		list = append(list, "theseus.toml cannot be kept for a daemon that is started while it has a mistake: "+err.Error())
	}
	signers := d.signers()
	ids := make([]trust.ID, 0, len(signers))
	for _, s := range signers {
		ids = append(ids, s.key)
	}
	gone, err := d.paths.Trust.Gone(ids)
	if err != nil {
		return list // Check has told
	}
	for _, s := range signers {
		if why := gone[s.key]; why != nil && !errors.Is(why, trust.ErrNoKey) {
			list = append(list, s.what+" runs, and "+why.Error())
		}
	}
	if keys, err := d.paths.Trust.Keys(); err == nil && len(keys) == 0 {
		list = append(list, "no key is trusted, so no package can be taken: reltool init")
	}
	return list
}

// safe says why no package is taken, nothing is built, and the daemon is not replaced, as an *api.Error. What runs goes on.
func (d *Daemon) safe() error {
	err := d.paths.Check()
	if err == nil {
		return nil
	}
	no := &api.Error{
		Code: "unsafe", Message: err.Error(), Hint: "mend what it says",
		Running: fmt.Sprintf("everything as before; theseusd %s, pid %d", Version, os.Getpid()),
	}
	var unsafe *trust.UnsafeError
	if errors.As(err, &unsafe) {
		no.Hint = unsafe.Hint
	}
	return no
}

// takes says why the drop folder takes nothing, nil if it does.
func (d *Daemon) takes() error {
	if err := d.safe(); err != nil {
		return err
	}
	return d.file.known()
}

type signer struct {
	what string
	key  trust.ID
}

// signers are the keys of what serves.
func (d *Daemon) signers() []signer {
	var list []signer
	for _, s := range d.host.Services() {
		for _, in := range d.host.Instances(s.Name) {
			if p := in.Package(); p.Version == s.Version {
				list = append(list, signer{fmt.Sprintf("%s %s", s.Name, s.Version), p.Key})
				break
			}
		}
	}
	return list
}

func withHint(err error) string {
	var unsafe *trust.UnsafeError
	if errors.As(err, &unsafe) {
		return unsafe.Error() + ": " + unsafe.Hint
	}
	return err.Error()
}
