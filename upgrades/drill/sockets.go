package drill

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// serverSockets maps each client port to the inode of the server's end of its connection to addr: an inode is the
// identity of a socket, whichever processes hold it.
func serverSockets(addr string) (map[int]string, error) {
	_, port, ok := strings.Cut(addr, ":")
	served, err := strconv.Atoi(port)
	if err != nil || !ok {
		return nil, err
	}
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sockets := map[int]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && portOf(fields[1]) == served && fields[3] == established {
			sockets[portOf(fields[2])] = fields[9]
		}
	}
	return sockets, lines.Err()
}

const established = "01"

// portOf reads the port of an address as /proc/net/tcp has it, "0100007F:1F91"; -1 if it is none.
func portOf(field string) int {
	_, port, _ := strings.Cut(field, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return -1
	}
	return int(n)
}

// same counts the ports whose socket is the same in both.
func same(ports []int, before, after map[int]string) (n int) {
	for _, p := range ports {
		if before[p] != "" && before[p] == after[p] {
			n++
		}
	}
	return n
}
