//go:build !race

package serve

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// receive takes from a socket what is there, without waiting.
func receive(fd int, p []byte) (int, error) { return rawCall(unix.SYS_RECVFROM, fd, p) }

// transmit gives to a socket what it takes without waiting.
func transmit(fd int, p []byte) (int, error) { return rawCall(unix.SYS_SENDTO, fd, p) }

// rawCall does not tell the scheduler, who would look for another thread to go on with meanwhile, and now and then start
// one: that costs more than the call takes.
func rawCall(trap uintptr, fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(min(len(p), rawMost)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
