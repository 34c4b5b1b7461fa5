package watch

import (
	"cmp"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/theseusd/theseus/upgrades/release"
)

// split takes NAME-VERSION.tpk apart; ok is false for every other name.
func split(file string) (name string, version *semver.Version, ok bool) {
	name, text, ok := release.ParseFileName(file)
	if !ok || file != release.FileName(name, text) {
		return "", nil, false
	}
	version, err := semver.StrictNewVersion(text)
	return name, version, err == nil
}

// inOrder sorts files of packages by name, then by version.
func inOrder(a, b string) int {
	an, av, aok := split(a)
	bn, bv, bok := split(b)
	if !aok || !bok {
		return strings.Compare(a, b)
	}
	return cmp.Or(strings.Compare(an, bn), av.Compare(bv), strings.Compare(a, b))
}

// stamp tells whether a name still is the same file with the same content.
type stamp struct {
	inode uint64
	size  int64
	mtime time.Time
}

func stampOf(info os.FileInfo) stamp {
	s := stamp{size: info.Size(), mtime: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = st.Ino
	}
	return s
}

// touched is when this machine last wrote or renamed the file, whatever times were copied along with it.
func touched(info os.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return info.ModTime()
}
