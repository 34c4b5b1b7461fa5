package state

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/theseusd/theseus/sdk/durable"
)

// The file "base" names the segment at which the log begins since the ones before were compacted. Without it the log
// begins with the first segment of the first epoch.
const baseFile = "base"

var genesis = id{1, 0}

func baseText(i id) string {
	return fmt.Sprintf("%s %08x\n", i, crc32.Checksum([]byte(i.String()), castagnoli))
}

// readBase returns the first segment of the log.
func readBase(dir string) (id, error) {
	path := filepath.Join(dir, baseFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return genesis, nil
	}
	if err != nil {
		return id{}, fmt.Errorf("state: read base: %w", err)
	}
	var i id
	if _, err := fmt.Sscanf(string(text), "%010d-%010d ", &i.epoch, &i.seq); err != nil || string(text) != baseText(i) {
		return id{}, &CorruptError{File: path, Reason: "it does not name a segment"}
	}
	return i, nil
}

// writeBase moves the beginning of the log; it is on disk when writeBase returns.
func writeBase(dir string, i id) error {
	if err := durable.Replace(filepath.Join(dir, baseFile), []byte(baseText(i))); err != nil {
		return spaceError(fmt.Errorf("state: write base: %w", err))
	}
	return nil
}

// listSegments returns the names of the published segments in order.
func listSegments(dir string) ([]id, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("state: list segments: %w", err)
	}
	var list []id
	for _, e := range entries {
		if i, ok := parseID(e.Name()); ok {
			list = append(list, i)
		}
	}
	sort.Slice(list, func(a, b int) bool { return list[a].less(list[b]) })
	return list, nil
}
