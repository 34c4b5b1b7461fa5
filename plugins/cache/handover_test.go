package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/theseusd/theseus/sdk/sdktest"
)

// saying checks a conversation.
func (c *conn) saying(t *testing.T, lines ...[2]string) {
	t.Helper()
	for _, line := range lines {
		if got, err := c.say(line[0]); err != nil || short(got) != line[1] {
			t.Fatalf("%s: %q, %v; want %q", line[0], short(got), err, line[1])
		}
	}
}

// A transaction that was begun in one version ends in another, as it would have in the first.
func TestTransactionsGoThroughUpgrades(t *testing.T) {
	p := sdktest.StartVersions(t, service, sdktest.Options{})
	c, other := dial(t, p.Addr("resp")), dial(t, p.Addr("resp"))
	c.saying(t, [2]string{"SET n 1", "+OK "}, [2]string{"WATCH n m", "+OK "}, [2]string{"INCR x", ":1 "})
	p.Switch()
	c.saying(t, [2]string{"WATCH o", "+OK "}, [2]string{"MULTI", "+OK "}, [2]string{"INCR n", "+QUEUED "})
	p.Switch()
	c.saying(t, [2]string{"HSET h a 1", "+QUEUED "})
	p.Switch()
	c.saying(t, [2]string{"EXEC", "*2 :2 :1 "}, [2]string{"GET x", "$1 1 "}, [2]string{"EXEC", "-ERR EXEC without MULTI "})
	p.Switch()
	c.saying(t, [2]string{"EXEC", "-ERR EXEC without MULTI "}, [2]string{"WATCH n", "+OK "})
	p.Switch()
	other.saying(t, [2]string{"INCR n", ":3 "})
	p.Switch()
	c.saying(t, [2]string{"MULTI", "+OK "}, [2]string{"SET n 100", "+QUEUED "})
	p.Switch()
	c.saying(t, [2]string{"EXEC", "*-1 "}, [2]string{"GET n", "$1 3 "}, [2]string{"MULTI", "+OK "}, [2]string{"NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with:  "})
	p.Switch()
	c.saying(t, [2]string{"EXEC", "-EXECABORT Transaction discarded because of previous errors. "})
}

func TestSubscriptionsGoThroughUpgrades(t *testing.T) {
	p := sdktest.StartVersions(t, service, sdktest.Options{})
	listener, speaker, three := dial(t, p.Addr("resp")), dial(t, p.Addr("resp")), dial(t, p.Addr("resp"))
	listener.saying(t, [2]string{"SUBSCRIBE news", "*3 $9 subscribe $4 news :1 "}, [2]string{"PSUBSCRIBE n*", "*3 $10 psubscribe $2 n* :2 "})
	if _, err := three.say("HELLO 3"); err != nil {
		t.Fatal(err)
	}
	three.saying(t, [2]string{"SUBSCRIBE news", ">3 $9 subscribe $4 news :1 "}, [2]string{"GET a", "_ "})
	for i := range 10 {
		if i%2 == 1 {
			p.Switch()
		}
		speaker.saying(t, [2]string{fmt.Sprintf("PUBLISH news %d", i), ":3 "})
		listener.saying(t, [2]string{"", fmt.Sprintf("*3 $7 message $4 news $1 %d ", i)}, [2]string{"", fmt.Sprintf("*4 $8 pmessage $2 n* $4 news $1 %d ", i)})
		three.saying(t, [2]string{"", fmt.Sprintf(">3 $7 message $4 news $1 %d ", i)})
	}
	listener.saying(t, [2]string{"UNSUBSCRIBE news", "*3 $11 unsubscribe $4 news :1 "})
	p.Switch()
	speaker.saying(t, [2]string{"PUBLISH news x", ":2 "}, [2]string{"PUBSUB NUMSUB news", "*2 $4 news :1 "}, [2]string{"PUBSUB NUMPAT", ":1 "})
	_ = three.Close()
	for got := ""; short(got) != ":1 "; {
		got, _ = speaker.say("PUBLISH news y") // until the end of the connection is known
	}
}

// A name that was too long counted as a fault of the service, and could take an upgrade back.
func TestALongNameIsRefused(t *testing.T) {
	c := dial(t, startCache(t, sdktest.Options{}).Addr("resp"))
	c.saying(t, [2]string{"CLIENT SETNAME me", "+OK "}, [2]string{"CLIENT SETNAME " + strings.Repeat("x", 40_000), "-" + string(errBaggage) + " "},
		[2]string{"CLIENT GETNAME", "$2 me "})
}

// More subscriptions than a session can hold are refused, and what was there goes on.
func TestTooManySubscriptionsAreRefused(t *testing.T) {
	c := dial(t, startCache(t, sdktest.Options{}).Addr("resp"))
	name := strings.Repeat("x", 1000)
	for i := 0; ; i++ {
		got, err := c.do("SUBSCRIBE", name+fmt.Sprint(i))
		if err != nil || i > 40 {
			t.Fatalf("%d subscriptions: %v", i, err)
		}
		if got[0] == '-' {
			if short(got) != "-"+string(errChannels)+" " || i < 25 {
				t.Errorf("after %d: %q", i, got)
			}
			break
		}
	}
	c.saying(t, [2]string{"PING", "*2 $4 pong $0  "})
}

// Names, namespaces, tags and counts are the next version's too.
func TestNamespacesAndTagsGoThroughUpgrades(t *testing.T) {
	p := sdktest.StartVersions(t, service, sdktest.Options{})
	c := dial(t, p.Addr("resp"))
	c.saying(t,
		[2]string{"CACHE.NS SET s EX 100 SLIDING", "+OK "}, [2]string{"CACHE.NS SET d DROP", "+OK "},
		[2]string{"SET s:1 a", "+OK "}, [2]string{"SET d:1 a", "+OK "}, [2]string{"SET k a", "+OK "}, [2]string{"SET l a", "+OK "},
		[2]string{"CACHE.TAG k t u", ":1 "}, [2]string{"CACHE.TAG l u", ":1 "}, [2]string{"GET nosuch", "$-1 "})
	p.Switch()
	c.saying(t, [2]string{"TTL s:1", ":100 "}, [2]string{"SET s:2 b", "+OK "}, [2]string{"TTL s:2", ":100 "},
		[2]string{"EXISTS d:1", ":0 "}, [2]string{"CACHE.INVALIDATE t", "+OK "}, [2]string{"GET k", "$-1 "})
	p.Switch()
	c.saying(t, [2]string{"GET k", "$-1 "}, [2]string{"GET l", "$1 a "}, [2]string{"CACHE.INVALIDATE u", "+OK "}, [2]string{"MGET k l", "*2 $-1 $-1 "},
		[2]string{"SET l b", "+OK "}, [2]string{"GET l", "$1 b "}, [2]string{"DBSIZE", ":3 "})
	if got := p.Verb("stats", "--json"); !strings.Contains(got, `"misses":6,`) {
		t.Errorf("the counts of the version before are gone: %s", got)
	}
}

// Pipelining clients never notice: no reply is lost, doubled or another's, and no increment either.
func TestPipelinesUnderUpgrades(t *testing.T) {
	p := sdktest.StartVersions(t, service, sdktest.Options{})
	var wait sync.WaitGroup
	done := make(chan struct{})
	const clients = 10
	sums := make([]int, clients)
	for id := range clients {
		c := dial(t, p.Addr("resp"))
		wait.Go(func() {
			for n := 1; ; n += 20 {
				select {
				case <-done:
					return
				default:
				}
				for range 20 {
					_, _ = c.Write([]byte(encode("INCR", fmt.Sprint("n", id))))
				}
				for i := range 20 {
					if got, err := c.say(""); err != nil || short(got) != fmt.Sprintf(":%d ", n+i) {
						t.Errorf("client %d: %q, %v; want %d", id, got, err, n+i)
						return
					}
				}
				sums[id] = n + 19
			}
		})
	}
	for range 20 {
		p.Switch()
	}
	close(done)
	wait.Wait()
	c := dial(t, p.Addr("resp"))
	for id, sum := range sums {
		c.saying(t, [2]string{fmt.Sprintf("INCRBY n%d 0", id), fmt.Sprintf(":%d ", sum)})
	}
}
