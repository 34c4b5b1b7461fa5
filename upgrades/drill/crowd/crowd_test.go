package crowd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/centrifugal/protocol"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/theseusd/theseus/sdk/serve/ws/wstest"
)

// told is what a client makes of frames. It is alone in a room with one speaker, hears pings answered, and may be cut.
func told(t *testing.T, frames ...string) Tally {
	t.Helper()
	c := newCrowd(Options{Rooms: []string{"general"}, Clients: 1, Speakers: 1})
	c.name = "us"
	m := c.client(0)
	server, conn := net.Pipe()
	m.use(conn, bufio.NewReader(conn))
	c.listeners.Go(m.listen)
	go func() {
		defer server.Close()
		for _, f := range frames {
			if err := wsutil.WriteServerText(server, []byte(f)); err != nil {
				return
			}
			if !strings.Contains(f, "\n"+ping) {
				continue
			}
			if pong, err := wsutil.ReadClientText(server); err != nil || string(pong) != "{}" {
				t.Errorf("a ping was answered with %q, %v", pong, err)
			}
		}
	}()
	return c.End()
}

// said is a message as the room tells it.
func said(offset, number int, last bool) string {
	return fmt.Sprintf(`{"push":{"pub":{"offset":%d,"data":{"crowd":"us","number":%d,"last":%t}}}}`, offset, number, last)
}

const ping = "{}"

func TestWhatIsWrongIsCounted(t *testing.T) {
	other := func(offset int) string {
		return fmt.Sprintf(`{"push":{"pub":{"offset":%d,"data":{"text":"hi"}}}}`, offset)
	}
	for _, tt := range []struct {
		name  string
		lines []string
		want  Tally
		err   string
	}{
		{"nothing", []string{said(1, 1, false), said(2, 2, true)}, Tally{Heard: 2}, ""},
		{"what others say has no number", []string{said(1, 1, false), other(2), said(3, 2, true)}, Tally{Heard: 3}, ""},
		{"a notice has no offset", []string{said(1, 1, false), other(0), said(2, 2, true)}, Tally{Heard: 2}, ""},
		{"an offset is missing", []string{other(1), other(3), said(4, 1, true)}, Tally{Heard: 3, Lost: 1}, ""},
		{"a number is missing", []string{said(1, 1, false), said(2, 3, true)}, Tally{Heard: 2, Lost: 1}, ""},
		{"both are missing of one message", []string{said(1, 1, false), said(3, 3, true)}, Tally{Heard: 2, Lost: 1}, ""},
		{"the first is missing", []string{said(1, 2, true)}, Tally{Heard: 1, Lost: 1}, ""},
		{"an offset twice", []string{said(1, 1, false), said(1, 1, false), said(2, 2, true)}, Tally{Heard: 2, Twice: 1}, ""},
		{"a number twice", []string{said(1, 1, false), said(2, 1, false), said(3, 2, true)}, Tally{Heard: 3, Twice: 1}, ""},
		{"a number that was refused comes later", []string{said(1, 1, false), said(2, 3, false), said(3, 2, false), said(4, 4, true)}, Tally{Heard: 4}, ""},
		{"somebody comes and goes", []string{`{"push":{"join":{}}}`, `{"push":{"leave":{}}}`, said(1, 1, true)}, Tally{Heard: 1, Joined: 1, Left: 1}, ""},
		{"the subscription ends", []string{`{"push":{"unsubscribe":{"code":2500}}}`}, Tally{Closed: 1}, "2500"},
		{"the frame is torn", []string{`{"push":{"pub":{"off`}, Tally{Closed: 1}, "a torn frame"},
		{"a word is refused for good", []string{`{"id":65537,"error":{"code":103}}`}, Tally{Closed: 1}, "what was not said"},
		{"nobody has asked", []string{`{"id":5,"history":{}}`}, Tally{Closed: 1}, "nobody has asked"},
		{"the connection is cut", nil, Tally{Closed: 1}, "EOF"},
	} {
		for name, frames := range map[string][]string{
			"": tt.lines, ", in one frame with a ping": {strings.Join(append([]string{`{"push":{}}`, ping}, tt.lines...), "\n")},
		} {
			t.Run(tt.name+name, func(t *testing.T) {
				got := told(t, frames...)
				if err := fmt.Sprint(got.First); tt.err == "" && got.First != nil || !strings.Contains(err, tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				tt.want.Clients, got.First = 1, nil
				if got != tt.want {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			})
		}
	}
}

func TestAFrameThatIsTooLongIsTold(t *testing.T) {
	c := newCrowd(Options{Rooms: []string{"general"}, Clients: 1, Speakers: 1})
	m := c.client(0)
	server, conn := net.Pipe()
	m.use(conn, bufio.NewReader(conn))
	c.listeners.Go(m.listen)
	if err := ws.WriteHeader(server, ws.Header{Fin: true, OpCode: ws.OpText, Length: wstest.Limit + 1}); err != nil {
		t.Fatal(err)
	}
	if got := c.End(); got.Closed != 1 || !strings.Contains(fmt.Sprint(got.First), "at most") {
		t.Errorf("got %v, %v", got, got.First)
	}
}

// talk has a crowd talk in the hall in the time of the test, while something is done.
func (h *hall) talk(t *testing.T, do func(c *Crowd)) (sum Tally) {
	synctest.Test(t, func(t *testing.T) {
		c := h.crowd(Options{Clients: 10, Speakers: 4, Every: time.Second})
		if err := c.gather(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Speak(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		do(c)
		sum = c.End()
		for _, m := range c.all {
			for _, w := range m.open {
				if !w.Last && sum.Closed == 0 { // the last one was heard
					t.Errorf("client %d has not said %v", m.number, w)
				}
			}
		}
	})
	return sum
}

// The speakers spread their messages over the second, so that at every instant one is soon to come.
func TestSpeakersTakeTurns(t *testing.T) {
	h, longest, last := newHall(), time.Duration(0), time.Time{}
	h.heard = func(w word) {
		if !w.Last && !last.IsZero() {
			longest = max(longest, time.Since(last))
		}
		last = time.Now()
	}
	sum := h.talk(t, func(c *Crowd) {
		w, err := c.During(func() error { time.Sleep(time.Minute); return nil })
		if said, heard := w.Rates(); err != nil || said != 4 || heard != 40 || w.Worst() != 0 {
			t.Errorf("%v messages and %v deliveries a second, late by %v, %v", said, heard, w.Worst(), err)
		}
	})
	if longest != 250*time.Millisecond {
		t.Errorf("once nothing was said for %v", longest)
	}
	if sum.Disturbed() || sum.Clients != 10 || sum.Heard < 10*4*70 {
		t.Errorf("got %v, %d heard: %v", sum, sum.Heard, sum.First)
	}
}

func TestWhatIsRefusedIsSaidAgain(t *testing.T) {
	h, refused := newHall(), map[int]bool{}
	h.refuse = func(w word) *protocol.Error {
		if w.Number%3 != 0 && !w.Last || refused[w.Number*10+w.By] {
			return nil
		}
		refused[w.Number*10+w.By] = true
		return &protocol.Error{Code: 100, Temporary: true}
	}
	if sum := h.talk(t, func(*Crowd) {}); sum.Disturbed() || len(refused) < 3*4 {
		t.Errorf("got %v after %d were refused: %v", sum, len(refused), sum.First)
	}
}

func TestWhatIsRefusedForGoodEndsASpeaker(t *testing.T) {
	h := newHall()
	h.refuse = func(w word) *protocol.Error {
		if w.By == 3 && w.Number == 5 {
			return &protocol.Error{Code: 103}
		}
		return nil
	}
	if sum := h.talk(t, func(*Crowd) {}); sum.Closed == 0 || !strings.Contains(fmt.Sprint(sum.First), "103") && !errors.Is(sum.First, errDeaf) {
		t.Errorf("got %v: %v", sum, sum.First)
	}
}

// Whoever is cut comes back to its place, and is not content with less than all that was said meanwhile.
func TestClientsComeBack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*hall)
		want   Tally
		err    string
	}{
		{"and recover", func(*hall) {}, Tally{Recovered: 10}, ""},
		{"and read the history", func(h *hall) { h.forgetful = true }, Tally{ByHistory: 10}, ""},
		{"to a place that has lost a message", func(h *hall) { h.lost = 3 }, Tally{Closed: 10}, "general is at"},
		{"to another epoch", func(h *hall) { h.epoch = "second" }, Tally{Closed: 10}, "of epoch second"},
		{"to a place that has forgotten which words were said", func(h *hall) { h.ids = map[string]bool{} }, Tally{Recovered: 10}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHall()
			sum := h.talk(t, func(c *Crowd) {
				err := c.Cut(context.Background(), func() error {
					h.mu.Lock()
					tt.change(h)
					h.mu.Unlock()
					h.cutAll("one", "two")
					return nil
				})
				if err != nil && tt.err == "" {
					t.Error(err)
				}
				time.Sleep(10 * time.Second)
			})
			if err := fmt.Sprint(sum.First); tt.err == "" && sum.First != nil || !strings.Contains(err, tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			tt.want.Clients, tt.want.Heard, sum.First = 10, sum.Heard, nil
			if sum != tt.want {
				t.Errorf("got %v, want %v", sum, tt.want)
			}
			if q := h.subscribed[len(h.subscribed)-1]; !q.Recover || q.Epoch != "first" || q.Offset == 0 {
				t.Errorf("a client asks for its place with %v", q)
			}
		})
	}
}

// A word that was not acknowledged when the connection was cut is said again, under its id.
func TestWordsUnderWayAreSaidAgain(t *testing.T) {
	h := newHall()
	cut := false
	h.heard = func(w word) {
		if w.By == 2 && w.Number == 12 && !cut {
			cut = true
			go h.cutAll()
		}
	}
	sum := h.talk(t, func(c *Crowd) {
		err := c.Cut(context.Background(), func() error { time.Sleep(10 * time.Second); return nil })
		if err != nil {
			t.Error(err)
		}
	})
	if sum.Disturbed() || sum.Recovered != 10 {
		t.Errorf("got %v: %v", sum, sum.First)
	}
}

func TestWhoIsNotLetInIsTold(t *testing.T) {
	c := newHall().crowd(Options{Clients: 2, Speakers: 1})
	c.dial = func(context.Context) (net.Conn, *bufio.Reader, error) { return nil, nil, errors.New("nobody is there") }
	if err := c.gather(t.Context()); err == nil || err.Error() != "client 0: nobody is there" {
		t.Errorf("got %v", err)
	}
}

func TestPausesGrowAndDiffer(t *testing.T) {
	for n, most := range map[int]time.Duration{0: time.Second, 1: 1500 * time.Millisecond, 3: 4500 * time.Millisecond, 9: longPause, 40: longPause} {
		a, b := pauseBefore(n), pauseBefore(n)
		if a < shortPause || a > most || a == b && a != longPause {
			t.Errorf("before attempt %d: %v and %v, at most %v", n, a, b, most)
		}
	}
}
