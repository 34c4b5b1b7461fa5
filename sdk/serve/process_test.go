package serve_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/theseusd/theseus/sdk/sdktest"
	"github.com/theseusd/theseus/sdk/serve"
)

const roleEnv = "THESEUS_SERVE_TEST_VERSION"

// TestMain is also the main of the processes that the tests start: they serve HTTP on descriptor 3, RESP on 4 and
// WebSockets on 5, and do what lines on stdin say.
func TestMain(m *testing.M) {
	if v := os.Getenv(roleEnv); v != "" {
		child(v)
		return
	}
	os.Exit(m.Run())
}

func child(version string) {
	g := serve.NewGroup(serve.Options{})
	g.HTTP("http", inherited(3), &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Version", version)
		fmt.Fprintf(w, "%s %s", r.URL.Path, b)
	})})
	newBoard(version).Stream(g, "resp", inherited(4))
	newWall().Stream(g, "ws", inherited(5))
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		began := time.Now()
		answer, err := obey(g, strings.Fields(in.Text()))
		if err != nil {
			fmt.Printf("error %v\n", err)
			continue
		}
		fmt.Printf("ok %d %s\n", time.Since(began).Microseconds(), answer)
	}
}

func obey(g *serve.Group, words []string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	switch words[0] {
	case "arm":
		return "", g.Arm()
	case "pair":
		return "", g.Pair(ctx, words[1], words[2] == "true")
	case "unpair":
		g.Unpair()
		return "", nil
	case "park":
		return "", g.Park(ctx, 2*time.Second)
	case "finish":
		n, err := g.Finish()
		return fmt.Sprint(n), err
	case "await":
		return "", g.Await(ctx)
	case "count":
		served, ahead := g.Connections()
		return fmt.Sprint(served, ahead), nil
	}
	return "", errors.New("unknown order")
}

func inherited(fd uintptr) net.Listener {
	f := os.NewFile(fd, "listener")
	defer f.Close()
	ln, err := net.FileListener(f)
	if err != nil {
		panic(err)
	}
	return ln
}

// listeners are what the keel would hold.
type listeners struct {
	http, resp, ws net.Listener
	files          []*os.File
}

func listen(t testing.TB) *listeners {
	t.Helper()
	l := &listeners{}
	for _, ln := range []*net.Listener{&l.http, &l.resp, &l.ws} {
		var err error
		if *ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		f := passable(t, (*ln).(*net.TCPListener))
		l.files = append(l.files, f)
		t.Cleanup(func() { f.Close(); (*ln).Close() })
	}
	return l
}

// passable duplicates a listener for a child process. File() would do so too, but passing such a file on makes the
// socket blocking for everybody.
func passable(t testing.TB, ln *net.TCPListener) *os.File {
	t.Helper()
	raw, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var f *os.File
	_ = raw.Control(func(fd uintptr) {
		d, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		f = os.NewFile(uintptr(d), "listener")
	})
	return f
}

// process is a version of the service.
type process struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

func start(t testing.TB, l *listeners, version string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+version)
	cmd.ExtraFiles = l.files
	cmd.Stderr = os.Stderr
	in, out := sdktest.Run(t, cmd)
	return &process{t: t, cmd: cmd, in: in, out: out}
}

func (p *process) kill() { sdktest.Kill(p.cmd) }

// try gives an order and returns how long it took there, and what it answered.
func (p *process) try(order string) (time.Duration, string, error) {
	fmt.Fprintln(p.in, order)
	line, err := p.out.ReadString('\n')
	if err != nil {
		return 0, "", err
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if word != "ok" {
		return 0, "", errors.New(rest)
	}
	number, answer, _ := strings.Cut(rest, " ")
	us, err := time.ParseDuration(number + "us")
	return us, answer, err
}

func (p *process) do(order string) (time.Duration, string) {
	p.t.Helper()
	took, answer, err := p.try(order)
	if err != nil {
		p.t.Fatalf("%s: %v", order, err)
	}
	return took, answer
}

func pairUp(t testing.TB, serving, standby *process) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pair")
	serving.do("pair " + path + " true")
	standby.do("pair " + path + " false")
}

// swap hands over and returns what the two processes spent on it.
func swap(from, to *process) (pause time.Duration) {
	for _, s := range []struct {
		p     *process
		order string
	}{{from, "park"}, {from, "finish"}, {to, "await"}, {to, "arm"}} {
		took, _ := s.p.do(s.order)
		pause += took
	}
	return pause
}

// load is closed-loop clients that never retry and check every answer.
type load struct {
	stop             chan struct{}
	wg               sync.WaitGroup
	requests, failed atomic.Int64
	worst            atomic.Int64
	first            atomic.Pointer[error]
}

func startLoad(t testing.TB, l *listeners, https, resps int, think time.Duration) *load {
	t.Helper()
	ld := &load{stop: make(chan struct{})}
	for id := range https + resps {
		addr, exchange := l.http.Addr(), askHTTP
		if id >= https {
			addr, exchange = l.resp.Addr(), askRESP
		}
		nc, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		ld.wg.Go(func() { defer nc.Close(); ld.run(nc, id, exchange, think) })
	}
	return ld
}

func (ld *load) run(nc net.Conn, id int, exchange func(net.Conn, *bufio.Reader, string) error, think time.Duration) {
	r := bufio.NewReader(nc)
	wait := time.Duration(rand.Int64N(int64(think) + 1))
	for i := 0; ; i++ {
		select {
		case <-ld.stop:
			return
		case <-time.After(wait):
			wait = think
		}
		_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
		began := time.Now()
		ld.requests.Add(1)
		if err := exchange(nc, r, fmt.Sprintf("%d-%d", id, i)); err != nil {
			ld.failed.Add(1)
			ld.first.CompareAndSwap(nil, &err)
			return
		}
		took := int64(time.Since(began))
		for w := ld.worst.Load(); took > w && !ld.worst.CompareAndSwap(w, took); w = ld.worst.Load() {
		}
	}
}

// end stops the clients; every one must still have its connection.
func (ld *load) end(t testing.TB) {
	t.Helper()
	close(ld.stop)
	ld.wg.Wait()
	if n := ld.failed.Load(); n > 0 {
		t.Fatalf("%d of %d requests failed; first: %v", n, ld.requests.Load(), *ld.first.Load())
	}
	t.Logf("%d requests, 0 failed, slowest %v", ld.requests.Load(), time.Duration(ld.worst.Load()))
}

func askHTTP(nc net.Conn, r *bufio.Reader, id string) error {
	body := strings.Repeat(id, 20)
	_, err := fmt.Fprintf(nc, "POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", id, len(body), body)
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if want := "/" + id + " " + body; string(b) != want || resp.Close {
		return fmt.Errorf("answer %q (close %v), want %q", b, resp.Close, want)
	}
	return nil
}

func askRESP(nc net.Conn, r *bufio.Reader, id string) error {
	_, err := fmt.Fprintf(nc, "*2\r\n$4\r\nECHO\r\n$%d\r\n%s\r\n", len(id), id)
	if err != nil {
		return err
	}
	want := fmt.Sprintf("$%d\r\n%s\r\n", len(id), id)
	got := make([]byte, len(want))
	if _, err = io.ReadFull(r, got); err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("answer %q, want %q", got, want)
	}
	return nil
}

func TestTwentyHandoversBetweenProcesses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		think time.Duration
		swaps int
	}{{"busy clients", 0, 20}, {"thinking clients", 20 * time.Millisecond, 5}} {
		t.Run(tt.name, func(t *testing.T) {
			l := listen(t)
			old := start(t, l, "v0")
			old.do("arm")
			ld := startLoad(t, l, 64, 50, tt.think)
			var worst time.Duration
			for i := range tt.swaps {
				next := start(t, l, fmt.Sprintf("v%d", i+1))
				pairUp(t, old, next)
				time.Sleep(30 * time.Millisecond)
				pause := swap(old, next)
				worst = max(worst, pause)
				t.Logf("handover %d: %v", i, pause)
				if i%3 == 2 { // there and back, as a rollback does
					swap(next, old)
					swap(old, next)
				}
				next.do("unpair")
				old.kill()
				old = next
			}
			_, n := old.do("count")
			if n != "114 0" {
				t.Errorf("connections served, ahead: %s; want 114 0", n)
			}
			ld.end(t)
			t.Logf("slowest handover: %v", worst)
		})
	}
}

// ask is one exchange on a fresh or known connection.
func ask(t testing.TB, nc net.Conn, r *bufio.Reader, id string) {
	t.Helper()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if err := askHTTP(nc, r, id); err != nil {
		t.Fatalf("%s: %v", id, err)
	}
}

func connect(t testing.TB, l *listeners) (net.Conn, *bufio.Reader) {
	t.Helper()
	nc, err := net.Dial("tcp", l.http.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc, bufio.NewReader(nc)
}

func TestServingProcessIsKilled(t *testing.T) {
	l := listen(t)
	old, next := start(t, l, "v1"), start(t, l, "v2")
	old.do("arm")
	nc, r := connect(t, l)
	ask(t, nc, r, "before")
	pairUp(t, old, next)
	old.kill()
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := r.ReadByte(); err == nil || os.IsTimeout(err) {
		t.Fatalf("the connection of a dead process goes on: %v", err)
	}
	if _, _, err := next.try("await"); err == nil {
		t.Fatal("an end marker of a dead process came")
	}
	next.do("arm")
	nc, r = connect(t, l)
	ask(t, nc, r, "after")
	if _, n := next.do("count"); n != "1 0" {
		t.Fatalf("connections: %s, want 1 0", n)
	}
}

func TestStandbyIsKilled(t *testing.T) {
	for _, after := range []string{"pair", "park", "finish"} {
		t.Run("after "+after, func(t *testing.T) {
			l := listen(t)
			old, next := start(t, l, "v1"), start(t, l, "v2")
			old.do("arm")
			nc, r := connect(t, l)
			ask(t, nc, r, "before")
			pairUp(t, old, next)
			if after != "pair" {
				old.do("park")
			}
			if after == "finish" {
				old.do("finish")
			}
			next.kill()
			old.do("arm")
			ask(t, nc, r, "the-same-connection-goes-on")

			third := start(t, l, "v3")
			pairUp(t, old, third)
			swap(old, third)
			ask(t, nc, r, "and-changes-process-later")
		})
	}
}

// The peer dies with the connections in its hands, after they were handed over: they end, new ones are served.
func TestSuccessorIsKilledWhileItServes(t *testing.T) {
	l := listen(t)
	old, next := start(t, l, "v1"), start(t, l, "v2")
	old.do("arm")
	nc, r := connect(t, l)
	ask(t, nc, r, "before")
	pairUp(t, old, next)
	swap(old, next)
	ask(t, nc, r, "after")
	next.kill()
	old.do("arm")
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := r.ReadByte(); err == nil || os.IsTimeout(err) {
		t.Fatalf("the connection of a dead process goes on: %v", err)
	}
	nc, r = connect(t, l)
	ask(t, nc, r, "new")
}

// The successor does not get as far as Arm, alive or not: the old version takes everything back, and the successor
// cannot take it any more.
func TestTakenBack(t *testing.T) {
	l := listen(t)
	old, next := start(t, l, "v1"), start(t, l, "v2")
	old.do("arm")
	nc, r := connect(t, l)
	ask(t, nc, r, "before")
	if _, err := io.WriteString(nc, "POST /half HTTP/1.1\r\nHo"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	pairUp(t, old, next)
	for range 3 {
		old.do("park")
		old.do("finish")
		next.do("await")
		old.do("arm")
		if _, _, err := next.try("arm"); err == nil {
			t.Fatal("both processes serve")
		}
	}
	swap(old, next)
	_, err := io.WriteString(nc, "st: x\r\nContent-Length: 1\r\n\r\nb")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); string(b) != "/half b" || resp.Header.Get("X-Version") != "v2" {
		t.Fatalf("%q by %s", b, resp.Header.Get("X-Version"))
	}
}

func TestFinishWithoutPeer(t *testing.T) {
	l := listen(t)
	old := start(t, l, "v1")
	old.do("arm")
	nc, r := connect(t, l)
	ask(t, nc, r, "before")
	old.do("park")
	if _, _, err := old.try("finish"); err == nil {
		t.Fatal("handed over to nobody")
	}
	old.do("arm")
	ask(t, nc, r, "taken-back")
	old.do("park")
	_, _, _ = old.try("finish")
	_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := r.ReadByte(); err == nil || os.IsTimeout(err) {
		t.Fatalf("a connection without anybody was not hung up: %v", err)
	}
}

// Thousands of connections change process at one instant, while each of them asks now and then.
func TestThousandsOfConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("many connections")
	}
	const n = crowdSize
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < uint64(n+500) {
		t.Skipf("at most %d descriptors here", limit.Cur)
	}
	l := listen(t)
	old, next := start(t, l, "v1"), start(t, l, "v2")
	old.do("arm")
	ld := &load{stop: make(chan struct{})}
	for id := range n {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+id%8))}}
		nc, err := d.Dial("tcp", l.resp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ld.wg.Go(func() { defer nc.Close(); ld.run(nc, id, askRESP, 1500*time.Millisecond) })
	}
	eventually(t, func() bool { _, c := old.do("count"); return c == fmt.Sprint(n, " 0") })
	took := time.Now()
	pairUp(t, old, next)
	t.Logf("descriptors went ahead in %v", time.Since(took))
	for i := range 4 {
		time.Sleep(time.Second)
		_, ahead := next.do("count")
		ld.worst.Store(0)
		pause := swap(old, next)
		time.Sleep(200 * time.Millisecond)
		t.Logf("handover %d: %v; ahead %s; slowest request around it %v", i, pause, ahead, time.Duration(ld.worst.Load()))
		old, next = next, old
	}
	if _, c := old.do("count"); c != fmt.Sprint(n, " 0") {
		t.Errorf("connections: %s, want %d 0", c, n)
	}
	ld.end(t)
}

func eventually(t testing.TB, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never happened")
		}
	}
}
