package watch

import (
	"os"

	kernel "github.com/theseusd/theseus/sdk/watch"
)

// source tells of files that came into the folder.
type source interface {
	Events() <-chan kernel.Event // closed when there will be no more; then see Err
	Err() error
	Ensure() error // makes the folder, and watches it also when it was replaced
	Close() error
}

var _ source = (*kernel.Folder)(nil)

// deaf is the source where there is none.
type deaf struct{ dir string }

func (d deaf) Events() <-chan kernel.Event { return nil }
func (d deaf) Err() error                  { return nil }
func (d deaf) Ensure() error               { return os.MkdirAll(d.dir, 0o755) }
func (d deaf) Close() error                { return nil }

// openNotify is the kernel's source.
func openNotify(dir string) (source, error) {
	f, err := kernel.Open(dir)
	if err != nil {
		return nil, err
	}
	return f, nil
}
