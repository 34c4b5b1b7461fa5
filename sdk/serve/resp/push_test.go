package resp

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/serve"
)

// board is a service in which everybody who joined gets what anybody says.
type board struct {
	mu  sync.Mutex
	all map[*Conn]bool
}

func (b *board) join(c *Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all[c] = true
}

func (b *board) leave(c *Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.all, c)
}

func (b *board) say(text []byte) (n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.all {
		if c.Push([]byte("said"), text) == nil {
			n++
		}
	}
	return n
}

func newBoard() Server {
	b := &board{all: map[*Conn]bool{}}
	return Server{Resume: b.join, Closed: b.leave, Handle: func(c *Conn, args [][]byte) {
		switch string(args[0]) {
		case "JOIN":
			c.Pushing(true)
			b.join(c)
			c.WriteOK()
		case "SAY":
			c.WriteInt(b.say(args[1]))
		case "LIST":
			c.WriteArray(20_000)
			for range 20_000 {
				c.WriteBulkString("xxxxxxxxxx")
			}
		case "COUNT":
			b.mu.Lock()
			defer b.mu.Unlock()
			c.WriteInt(int64(len(b.all)))
		default:
			c.WriteString("PONG")
		}
	}}
}

// A subscriber that never speaks hears what is said right after a switch, and what was said right before it.
func TestASilentSubscriberLosesNothingInASwitch(t *testing.T) {
	w := newTwoOf(t, newBoard(), newBoard())
	silent, speaker := dial(t, w.Addr), dial(t, w.Addr)
	_, _ = io.WriteString(silent, "JOIN\r\n")
	expect(t, silent, "+OK\r\n")
	n := 0
	say := func() {
		t.Helper()
		n++
		text := fmt.Sprint(1000 + n)
		_, _ = io.WriteString(speaker, "SAY "+text+"\r\n")
		expect(t, speaker, ":1\r\n")
	}
	for range 10 {
		say()
		say()
		w.Swap()
	}
	say()
	for i := range n {
		expect(t, silent, fmt.Sprintf("*2\r\n$4\r\nsaid\r\n$4\r\n%d\r\n", 1001+i))
	}
	_, _ = io.WriteString(silent, "PING\r\n")
	expect(t, silent, "+PONG\r\n")
}

// Messages were lost, or stood in the middle of replies, while many were said under swaps.
func TestMessagesStandBetweenReplies(t *testing.T) {
	w := newTwoOf(t, newBoard(), newBoard())
	reader, speaker := dial(t, w.Addr), dial(t, w.Addr)
	_, _ = io.WriteString(reader, "JOIN\r\n")
	expect(t, reader, "+OK\r\n")
	const rounds = 40
	var wait sync.WaitGroup
	wait.Go(func() {
		for i := range rounds * 10 {
			_, _ = fmt.Fprintf(speaker, "SAY %d\r\n", 1000+i)
			expect(t, speaker, ":1\r\n")
		}
	})
	wait.Go(func() {
		for range rounds {
			_, _ = io.WriteString(reader, "LIST\r\n")
		}
	})
	wait.Go(func() {
		for range 5 {
			w.Swap()
		}
	})
	list := "*20000\r\n" + strings.Repeat("$10\r\nxxxxxxxxxx\r\n", 20_000)
	lists, messages := 0, 0
	head := make([]byte, 4)
	for lists < rounds || messages < rounds*10 {
		if _, err := io.ReadFull(reader, head); err != nil {
			t.Fatalf("after %d lists and %d messages: %v", lists, messages, err)
		}
		if string(head) == list[:4] {
			lists++
			expect(t, reader, list[4:])
			continue
		}
		expect(t, reader, fmt.Sprintf("*2\r\n$4\r\nsaid\r\n$4\r\n%d\r\n", 1000+messages)[4:])
		messages++
	}
	wait.Wait()
}

// A subscriber that does not read cost memory without an end.
func TestASubscriberThatDoesNotReadIsHungUp(t *testing.T) {
	w := newTwoOf(t, newBoard(), newBoard())
	deaf, speaker := dial(t, w.Addr), dial(t, w.Addr)
	_, _ = io.WriteString(deaf, "JOIN\r\n")
	expect(t, deaf, "+OK\r\n")
	text := strings.Repeat("x", 1<<20)
	end := time.Now().Add(20 * time.Second)
	for reply := ""; reply != ":0\r\n"; {
		_, _ = fmt.Fprintf(speaker, "*2\r\n$3\r\nSAY\r\n$%d\r\n%s\r\n", len(text), text)
		b := make([]byte, 4)
		if _, err := io.ReadFull(speaker, b); err != nil || time.Now().After(end) {
			t.Fatalf("it is not hung up: %q, %v", b, err)
		}
		reply = string(b)
	}
	for reply := ""; reply != ":0\r\n"; {
		_, _ = io.WriteString(speaker, "COUNT\r\n")
		b := make([]byte, 4)
		if _, err := io.ReadFull(speaker, b); err != nil || time.Now().After(end) {
			t.Fatalf("it is still known: %q, %v", b, err)
		}
		reply = string(b)
	}
}

// newQueue is a service that remembers words and says them all at once.
func newQueue(ran *int) Server {
	return Server{Handle: func(c *Conn, args [][]byte) {
		list, _ := c.Value.([]string)
		switch string(args[0]) {
		case "KEEP":
			c.Value = append(list, string(args[1]))
			c.Hold()
			c.WriteString("KEPT")
		case "COUNT":
			*ran++
			c.WriteInt(int64(*ran))
		case "END":
			c.WriteBulkString(strings.Join(list, " "))
			c.Value = nil
			c.Release()
		}
	}}
}

// What a client has queued goes with it, without its replies coming twice and without other commands running twice.
func TestHeldCommandsTravel(t *testing.T) {
	ran := 0
	w := newTwoOf(t, newQueue(&ran), newQueue(&ran))
	c := dial(t, w.Addr)
	say := func(line, want string) {
		t.Helper()
		_, _ = io.WriteString(c, line)
		expect(t, c, want)
	}
	say("KEEP a\r\nCOUNT\r\nKEEP b\r\n", "+KEPT\r\n:1\r\n+KEPT\r\n")
	w.Swap()
	w.Swap()
	say("KEEP c\r\n", "+KEPT\r\n")
	w.Swap()
	say("COUNT\r\nEND\r\nEND\r\n", ":2\r\n$5\r\na b c\r\n$0\r\n\r\n")
	w.Swap()
	say("END\r\n", "$0\r\n\r\n")
	big := strings.Repeat("v", 100<<10) // more than a session may hold
	say("*2\r\n$4\r\nKEEP\r\n$102400\r\n"+big+"\r\n", "+KEPT\r\n")
	w.Swap()
	say("END\r\n", "$102400\r\n"+big+"\r\n")
}

// A pipeline of held commands that a swap cuts anywhere is still one.
func TestHeldPipelinesUnderSwaps(t *testing.T) {
	ran := 0
	w := newTwoOf(t, newQueue(&ran), newQueue(&ran))
	c := dial(t, w.Addr)
	var send, words, want strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&send, "KEEP %05d\r\n", i)
		fmt.Fprintf(&words, " %05d", i)
		want.WriteString("+KEPT\r\n")
	}
	fmt.Fprintf(&want, "$%d\r\n%s\r\n", words.Len()-1, words.String()[1:])
	var wait sync.WaitGroup
	wait.Go(func() { _, _ = io.WriteString(c, send.String()+"END\r\n") })
	wait.Go(func() {
		for range 10 {
			w.Swap()
		}
	})
	expect(t, c, want.String())
	wait.Wait()
}

// A service that was stopped still ran commands, of clients that it had hung up.
func TestNoCommandRunsAfterTheEnd(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	began, ended, ran := make(chan struct{}), make(chan struct{}), 0
	g := serve.NewGroup(serve.Options{})
	Server{Closed: func(*Conn) { close(ended) }, Handle: func(c *Conn, _ [][]byte) {
		if ran++; ran == 1 {
			c.Pushing(true)
			close(began)
			<-c.Parking()
		}
	}}.Stream(g, "resp", ln)
	if err := g.Arm(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(dial(t, ln.Addr()), "FIRST\r\nSECOND\r\n")
	<-began
	g.Hangup()
	<-ended
	if ran != 1 {
		t.Error("a command ran after the end")
	}
}

// A reply of a client that had queued commands was swallowed after two switches, if its service knew them by its session.
func TestCommandsThatAreNotHeldOnceMoreAreForgotten(t *testing.T) {
	s := Server{Handle: func(c *Conn, args [][]byte) {
		if string(args[0]) == "KEEP" && !c.Again() {
			c.Hold()
		}
		c.WriteBulk(args[0])
	}}
	w := newTwoOf(t, s, s)
	c := dial(t, w.Addr)
	_, _ = io.WriteString(c, "KEEP a\r\nKEEP b\r\n")
	expect(t, c, "$4\r\nKEEP\r\n$4\r\nKEEP\r\n")
	for range 3 {
		w.Swap()
		_, _ = io.WriteString(c, "PING\r\n")
		expect(t, c, "$4\r\nPING\r\n")
	}
}

// A message stood in the middle of a reply, once its client wanted no further ones.
func TestMessagesOfTheLastInstantStandBetweenReplies(t *testing.T) {
	half := strings.Repeat("x", flushSize) // is sent at once
	s := Server{Handle: func(c *Conn, args [][]byte) {
		switch string(args[0]) {
		case "JOIN":
			c.Pushing(true)
		case "LEAVE":
			c.Pushing(false)
		}
		c.WriteArray(2)
		c.WriteBulkString(half)
		if err := c.Push([]byte("late")); err != nil {
			t.Error(err)
		}
		c.WriteBulkString(half)
	}}
	w := newTwoOf(t, s, s)
	c := dial(t, w.Addr)
	bulk := fmt.Sprintf("$%d\r\n%s\r\n", len(half), half)
	for _, command := range []string{"JOIN", "LEAVE", "MORE"} {
		_, _ = io.WriteString(c, command+"\r\n")
		expect(t, c, "*2\r\n"+bulk+bulk+"*1\r\n$4\r\nlate\r\n")
	}
}
