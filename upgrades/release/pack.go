package release

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/theseusd/theseus/upgrades/appup"
	"github.com/theseusd/theseus/upgrades/trust"
)

// Signer is who vouches for a package.
type Signer struct {
	Key trust.Secret
	At  time.Time // now if zero
}

// Pack writes a signed package of a manifest, the binary at a path, and what that binary prints for --describe (see
// Describe). The three must agree. before are the manifests of lower versions of the service, in any order, through which
// a path may lead; as many of the highest as there is room for go along. The same input gives the same bytes.
func Pack(w io.Writer, manifest []byte, binary string, describe []byte, by Signer, before ...[]byte) error {
	f, err := os.Open(binary)
	if err != nil {
		return err
	}
	defer f.Close() // only read from
	p := &packing{manifest: manifest, describe: describe, binary: f, signer: by, before: before}
	if by.At.IsZero() {
		p.signer.At = time.Now()
	}
	if err := p.examine(); err != nil {
		return err
	}
	level := gzip.BestSpeed
	if _, loose := w.(Loose); loose {
		level = gzip.NoCompression
	}
	zw, err := gzip.NewWriterLevel(w, level)
	if err != nil {
		return err
	}
	tw := tar.NewWriter(zw)
	return errors.Join(p.write(tw), tw.Close(), zw.Close())
}

// Loose is a writer for which Pack does not compress: a package that goes nowhere is made and taken in sooner.
type Loose struct{ io.Writer }

// packing is a package being made.
type packing struct {
	manifest, describe []byte
	before             [][]byte
	binary             *os.File
	signer             Signer
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
	size, err := io.Copy(h, p.binary)
	if err != nil {
		return fmt.Errorf("read %s: %w", p.binary.Name(), err)
	}
	at := p.signer.At.UTC().Truncate(time.Millisecond)
	p.meta = meta{
		Name: m.Name, Version: m.Version, OS: on.os, Arch: on.arch, Seq: at.UnixMilli(), Created: at, Files: map[string]part{
			manifestFile: partOf(p.manifest), describeFile: partOf(p.describe), binaryFile: {hex.EncodeToString(h.Sum(nil)), size},
		},
	}
	p.meta.Before, err = chain(m, p.before)
	return err
}

func partOf(text []byte) part { return part{digest(text), int64(len(text))} }

func (p *packing) write(tw *tar.Writer) error {
	text, err := json.MarshalIndent(p.meta, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	signature := p.signer.Key.Sign(text, p.meta.comment())
	for _, part := range []struct {
		name string
		text []byte
	}{{metaFile, text}, {signatureFile, signature}, {manifestFile, p.manifest}, {describeFile, p.describe}} {
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
	if err := tw.WriteHeader(header(binaryFile, p.meta.Files[binaryFile].Size, 0o500)); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(tw, h), io.NewSectionReader(p.binary, 0, p.meta.Files[binaryFile].Size)); err != nil {
		return fmt.Errorf("pack %s: %w", p.binary.Name(), err)
	}
	if hex.EncodeToString(h.Sum(nil)) != p.meta.Files[binaryFile].SHA256 {
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
