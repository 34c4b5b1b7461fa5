package release

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// machine is what a binary runs on.
type machine struct{ os, arch string }

func (m machine) String() string { return m.os + "/" + m.arch }

var here = machine{runtime.GOOS, runtime.GOARCH}

// arches are the machines that an ELF header can name, by class, byte order and number.
var arches = map[string]map[elf.Machine]string{
	"64 little": {
		elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_RISCV: "riscv64", elf.EM_PPC64: "ppc64le",
		elf.EM_LOONGARCH: "loong64", elf.EM_MIPS: "mips64le",
	},
	"64 big":    {elf.EM_PPC64: "ppc64", elf.EM_S390: "s390x", elf.EM_MIPS: "mips64"},
	"32 little": {elf.EM_386: "386", elf.EM_ARM: "arm", elf.EM_MIPS: "mipsle"},
	"32 big":    {elf.EM_MIPS: "mips"},
}

var errNotELF = errors.New("it is no ELF executable")

// machineOf reads the first bytes of a binary. It trusts nothing behind them.
func machineOf(r io.ReaderAt) (machine, error) {
	var h [20]byte
	if n, err := r.ReadAt(h[:], 0); n < len(h) {
		if errors.Is(err, io.EOF) {
			err = errNotELF
		}
		return machine{}, err
	}
	class, order := elf.Class(h[elf.EI_CLASS]), elf.Data(h[elf.EI_DATA])
	if string(h[:4]) != elf.ELFMAG || class != elf.ELFCLASS32 && class != elf.ELFCLASS64 {
		return machine{}, errNotELF
	}
	var bytes binary.ByteOrder = binary.LittleEndian
	word := "little"
	if order == elf.ELFDATA2MSB {
		bytes, word = binary.BigEndian, "big"
	}
	kind, number := elf.Type(bytes.Uint16(h[16:])), elf.Machine(bytes.Uint16(h[18:]))
	if kind != elf.ET_EXEC && kind != elf.ET_DYN {
		return machine{}, errNotELF
	}
	arch, ok := arches[fmt.Sprintf("%d %s", 32*int(class), word)][number]
	if !ok {
		arch = number.String()
	}
	return machine{os: osOf(elf.OSABI(h[elf.EI_OSABI])), arch: arch}, nil
}

// osOf is the operating system of an ELF file. Linux uses the number of System V as well as its own.
func osOf(abi elf.OSABI) string {
	switch abi {
	case elf.ELFOSABI_NONE, elf.ELFOSABI_LINUX:
		return "linux"
	case elf.ELFOSABI_FREEBSD:
		return "freebsd"
	case elf.ELFOSABI_NETBSD:
		return "netbsd"
	case elf.ELFOSABI_OPENBSD:
		return "openbsd"
	}
	return abi.String()
}
