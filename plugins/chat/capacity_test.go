package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/theseusd/theseus/plugins/chat/internal/protocol"
	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/serve/ws/wstest"
)

// capacities are the servers that are measured, each in a process of its own: how one starts, and where its clients connect.
// `make centrifuge` adds one.
var capacities = map[string]func(t *testing.T) (addr string){
	"chat": func(t *testing.T) string {
		i := startChat(t, sdktest.Options{})
		i.Verb("create", "room", "general")
		return i.Addr("clients")
	},
}

const (
	capacityServer = "CHAT_CAPACITY" // which server the process is, for TestCapacityServer
	audience       = 5000
	announcements  = 60
)

// TestCapacityServer is the process of a server: it says its address, and what it has used whenever it is asked.
func TestCapacityServer(t *testing.T) {
	start := capacities[os.Getenv(capacityServer)]
	if start == nil {
		t.Skip("it is started by BenchmarkCapacity")
	}
	out := os.NewFile(3, "said")
	fmt.Fprintln(out, start(t))
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		debug.FreeOSMemory()
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(out, anonymous(t), u.Utime.Nano()+u.Stime.Nano())
	}
}

// anonymous is the memory of this process that no file is behind, in KiB.
func anonymous(t *testing.T) (kib int) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "RssAnon:")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}

// BenchmarkCapacity is what a connection costs that does nothing, and what it costs to tell each of 5,000 a message, for each
// server: memory in bytes, processors in microseconds, both of the server alone. Run it with -benchtime 1x.
func BenchmarkCapacity(b *testing.B) {
	for name := range capacities {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				measure(b, startServer(b, name))
			}
		})
	}
}

func measure(b *testing.B, s *server) {
	before, _ := s.used(b)
	h := &hall{all: make(chan struct{}, 1)}
	defer h.close()
	for range audience {
		h.enter(b, s.addr)
	}
	after, began := s.used(b)
	for range announcements {
		h.announce(b)
	}
	_, ended := s.used(b)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(after-before)*1024/audience, "B/connection")
	b.ReportMetric(float64(ended-began)/1000/announcements/audience, "cpu-µs/delivery")
}

// server is one of capacities, in its process.
type server struct {
	addr string
	in   io.WriteCloser
	out  *bufio.Reader
}

func startServer(b *testing.B, name string) *server {
	b.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestCapacityServer$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), capacityServer+"="+name)
	cmd.ExtraFiles = []*os.File{w}
	cmd.Stderr = os.Stderr
	s := &server{out: bufio.NewReader(r)}
	if s.in, err = cmd.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	_ = w.Close()
	b.Cleanup(func() { _ = s.in.Close(); _ = cmd.Wait(); _ = r.Close() })
	if _, err := fmt.Fscan(s.out, &s.addr); err != nil {
		b.Fatal(err)
	}
	return s
}

// used is the memory of the server, in KiB, and the time of its processors, in nanoseconds.
func (s *server) used(b *testing.B) (kib, cpu int64) {
	b.Helper()
	if _, err := fmt.Fprintln(s.in); err != nil {
		b.Fatal(err)
	}
	if _, err := fmt.Fscan(s.out, &kib, &cpu); err != nil {
		b.Fatal(err)
	}
	return kib, cpu
}

// hall is the clients, all of them in one room.
type hall struct {
	conns   []net.Conn
	readers sync.WaitGroup
	heard   atomic.Int64
	want    atomic.Int64
	all     chan struct{}
}

// bang is in each announcement once, and in nothing else that a server sends.
const bang = "!"

func (h *hall) enter(b *testing.B, addr string) {
	c, _, _, err := ws.Dial(b.Context(), "ws://"+addr+protocol.Path)
	if err != nil {
		b.Fatal(err)
	}
	h.conns = append(h.conns, c)
	_ = c.SetDeadline(time.Now().Add(5 * time.Minute))
	for _, say := range []string{`{"id":1,"connect":{"data":{"user":"ada"}}}`, `{"id":2,"subscribe":{"channel":"general"}}`} {
		if err := wsutil.WriteClientText(c, []byte(say)); err != nil {
			b.Fatal(err)
		}
		if _, err := wstest.ReadFrame(c); err != nil {
			b.Fatal(err)
		}
	}
	h.readers.Go(func() { h.listen(c) })
}

func (h *hall) listen(c net.Conn) {
	buf := make([]byte, 512)
	for {
		n, err := c.Read(buf)
		if h.heard.Add(int64(bytes.Count(buf[:n], []byte(bang)))) >= h.want.Load() {
			select {
			case h.all <- struct{}{}:
			default:
			}
		}
		if err != nil {
			return
		}
	}
}

// announce says something, and returns when everybody has heard it.
func (h *hall) announce(b *testing.B) {
	h.want.Add(int64(len(h.conns)))
	say := `{"id":3,"publish":{"channel":"general","data":{"text":"` + strings.Repeat("x", 100) + bang + `"}}}`
	if err := wsutil.WriteClientText(h.conns[0], []byte(say)); err != nil {
		b.Fatal(err)
	}
	for h.heard.Load() < h.want.Load() {
		select {
		case <-h.all:
		case <-time.After(30 * time.Second):
			b.Fatalf("%d of %d heard it", h.heard.Load(), h.want.Load())
		}
	}
}

func (h *hall) close() {
	for _, c := range h.conns {
		_ = c.Close()
	}
	h.readers.Wait()
}
