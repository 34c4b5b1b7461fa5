package control

import (
	"os"
	"path/filepath"
)

// Names in an instance directory that clients need.
const (
	Private    = ".theseus"         // mode 0700, below the instance directory
	SystemDir  = "/var/lib/theseus" // where a packaged daemon lives
	EnvDir     = "THESEUS_DIR"      // names the instance for every client
	SocketName = "control.sock"     // the daemon's, in RunDir
)

// Find returns the absolute path of an instance directory: dir if it is not empty, else $THESEUS_DIR, else the
// nearest of the current directory and its parents that has a .theseus in it, else SystemDir. Whether a daemon runs
// there is not asked.
func Find(dir string) (string, error) {
	if dir == "" {
		dir = os.Getenv(EnvDir)
	}
	if dir != "" {
		return filepath.Abs(dir)
	}
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return nearest(here), nil
}

// nearest walks up from dir.
func nearest(dir string) string {
	for {
		if info, err := os.Stat(filepath.Join(dir, Private)); err == nil && info.IsDir() {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return SystemDir
		}
		dir = parent
	}
}

// RunDir is where the sockets of the instance are.
func RunDir(dir string) string { return filepath.Join(dir, Private, "run") }

// Incoming is where package files are put for the daemon to take in.
func Incoming(dir string) string { return filepath.Join(dir, Private, "incoming") }
