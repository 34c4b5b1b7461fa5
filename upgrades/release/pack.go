package release

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/theseusd/theseus/upgrades/appup"
)

// Pack writes a package of a manifest, the binary at a path, and what that binary prints for --describe (see Describe).
// The three must agree. The same input gives the same bytes.
func Pack(w io.Writer, manifest []byte, binary string, describe []byte) error {
	f, err := os.Open(binary)
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	p := &packing{manifest: manifest, describe: describe, binary: f}
	if err := p.examine(); err != nil {
		return err
	}
	zw, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	tw := tar.NewWriter(zw)
	return errors.Join(p.write(tw), tw.Close(), zw.Close())
}

// packing is a package being made.
type packing struct {
	manifest, describe []byte
	binary             *os.File
	size               int64 // of the binary
	meta               meta
}

// examine checks that all parts agree, and writes down what package.json says of them.
func (p *packing) examine() error {
	m, err := appup.Parse(manifestFile, p.manifest)
	if err != nil {
		return err
	}
	d, err := parseDescribe(p.describe)
	if err != nil {
		return err
	}
	if err := (appup.Version{Manifest: m, Describe: d}).Check(); err != nil {
		return err
	}
	on, err := machineOf(p.binary)
	if err != nil {
		return fmt.Errorf("%s: %w", p.binary.Name(), err)
	}
	if said := (machine{d.OS, d.Arch}); on != said {
		return fmt.Errorf("%s is for %s, but describes itself as for %s", p.binary.Name(), on, said)
	}
	h := sha256.New()
	if p.size, err = io.Copy(h, p.binary); err != nil {
		return fmt.Errorf("read %s: %w", p.binary.Name(), err)
	}
	p.meta = meta{
		Name: m.Name, Version: m.Version, OS: on.os, Arch: on.arch, Built: built(p.binary), Digests: map[string]string{
			manifestFile: digest(p.manifest), describeFile: digest(p.describe), binaryFile: hex.EncodeToString(h.Sum(nil)),
		},
	}
	return nil
}

// built is the time of the commit that the binary was built from, zero if it does not say. A clock would give another
// package for the same input.
func built(binary io.ReaderAt) time.Time {
	info, err := buildinfo.Read(binary)
	if err != nil {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			if at, err := time.Parse(time.RFC3339, s.Value); err == nil {
				return at.UTC()
			}
		}
	}
	return time.Time{}
}

func (p *packing) write(tw *tar.Writer) error {
	text, err := json.MarshalIndent(p.meta, "", "  ")
	if err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		text []byte
	}{{metaFile, append(text, '\n')}, {manifestFile, p.manifest}, {describeFile, p.describe}} {
		if err := tw.WriteHeader(header(part.name, int64(len(part.text)), 0o400)); err != nil {
			return err
		}
		if _, err := tw.Write(part.text); err != nil {
			return err
		}
	}
	return p.writeBinary(tw)
}

// writeBinary reads the binary a second time; it must still be the same.
func (p *packing) writeBinary(tw *tar.Writer) error {
	if err := tw.WriteHeader(header(binaryFile, p.size, 0o500)); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(tw, h), io.NewSectionReader(p.binary, 0, p.size)); err != nil {
		return fmt.Errorf("pack %s: %w", p.binary.Name(), err)
	}
	if hex.EncodeToString(h.Sum(nil)) != p.meta.Digests[binaryFile] {
		return fmt.Errorf("%s has changed while it was packed", p.binary.Name())
	}
	return nil
}

// header has no time and no owner.
func header(name string, size, mode int64) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: mode, Format: tar.FormatUSTAR}
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
