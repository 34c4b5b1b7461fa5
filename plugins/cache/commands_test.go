package main

import (
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/sdk/sdktest"
)

// talk is a conversation on one connection. Every reply is what Redis 7.0 says; TestTalkIsRedis compares.
var talk = []struct{ say, reply string }{
	{"PING", "+PONG "},
	{"ping hello", "$5 hello "},
	{"PING a b", "-ERR wrong number of arguments for 'ping' command "},
	{"ECHO hello", "$5 hello "},
	{"ECHO", "-ERR wrong number of arguments for 'echo' command "},
	{"NOSUCH a b", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b'  "},
	{"SELECT 0", "+OK "},
	{"SELECT 99", "-ERR DB index is out of range "},
	{"SELECT x", "-ERR value is not an integer or out of range "},
	{"CLIENT", "-ERR wrong number of arguments for 'client' command "},
	{"CLIENT NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP. "},
	{"CLIENT GETNAME", "$-1 "},
	{"CLIENT SETNAME me", "+OK "},
	{"CLIENT GETNAME", "$2 me "},
	{"CLIENT SETNAME", "-ERR wrong number of arguments for 'client|setname' command "},
	{"CLIENT SETNAME a\nb", "-ERR Client names cannot contain spaces, newlines or special characters. "},
	{"AUTH x", "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct? "},
	{"AUTH a b", "-WRONGPASS invalid username-password pair or user is disabled. "},
	{"AUTH default b", "+OK "},
	{"AUTH a b c", "-ERR syntax error "},
	{"HELLO 4", "-NOPROTO unsupported protocol version "},
	{"HELLO x", "-ERR Protocol version is not an integer or out of range "},
	{"HELLO 2 NOSUCH", "-ERR Syntax error in HELLO option 'NOSUCH' "},
	{"HELLO 2 SETNAME", "-ERR Syntax error in HELLO option 'SETNAME' "},
	{"HELLO 2 AUTH a b", "-WRONGPASS invalid username-password pair or user is disabled. "},

	{"GET none", "$-1 "},
	{"GET", "-ERR wrong number of arguments for 'get' command "},
	{"SET a 1", "+OK "},
	{"get a", "$1 1 "},
	{"SET a", "-ERR wrong number of arguments for 'set' command "},
	{"SET a 2 NX", "$-1 "},
	{"SET b 2 XX", "$-1 "},
	{"SET b 2 NX", "+OK "},
	{"SET b 3 XX", "+OK "},
	{"SET b 4 XX NX", "-ERR syntax error "},
	{"SET b 4 GET", "$1 3 "},
	{"SET c 5 GET", "$-1 "},
	{"SET c 6 NX GET", "$1 5 "},
	{"SET d 1 XX GET", "$-1 "},
	{"GET c", "$1 5 "},
	{"SET d 1 NX GET", "$-1 "},
	{"GET d", "$1 1 "},
	{"SET e 1 EX 100", "+OK "},
	{"TTL e", ":100 "},
	{"SET e 2 KEEPTTL", "+OK "},
	{"TTL e", ":100 "},
	{"SET e 3", "+OK "},
	{"TTL e", ":-1 "},
	{"SET e 1 PX 100000", "+OK "},
	{"TTL e", ":100 "},
	{"SET e 1 EXAT 99999999999", "+OK "},
	{"SET e 1 PXAT 1", "+OK "},
	{"GET e", "$-1 "},
	{"SET e 1 EXAT 1", "+OK "},
	{"EXISTS e", ":0 "},
	{"SET e 1 EX 0", "-ERR invalid expire time in 'set' command "},
	{"SET e 1 EX -1", "-ERR invalid expire time in 'set' command "},
	{"SET e 1 EX x", "-ERR value is not an integer or out of range "},
	{"SET e 1 EX", "-ERR syntax error "},
	{"SET e 1 EX 9223372036854775807", "-ERR invalid expire time in 'set' command "},
	{"SET e 1 PX 9223372036854775807", "-ERR invalid expire time in 'set' command "},
	{"SET e 1 EX 10 PX 10", "-ERR syntax error "},
	{"SET e 1 EX 10 KEEPTTL", "-ERR syntax error "},
	{"SET e 1 KEEPTTL EX 10", "-ERR syntax error "},
	{"SET e 1 EX 0 NOSUCH", "-ERR syntax error "},
	{"SET e 1 nosuch", "-ERR syntax error "},
	{"SET e 1 ex 9999999999", "+OK "},
	{"TTL e", ":9999999999 "},
	{`SET e ""`, "+OK "},
	{"GET e", "$0  "},
	{"STRLEN e", ":0 "},

	{"DEL a b nosuch", ":2 "},
	{"UNLINK c c", ":1 "},
	{"EXISTS d d nosuch", ":2 "},
	{"DEL", "-ERR wrong number of arguments for 'del' command "},
	{"GETDEL d", "$1 1 "},
	{"GETDEL d", "$-1 "},
	{"TYPE e", "+string "},
	{"TYPE d", "+none "},
	{"APPEND s ab", ":2 "},
	{"APPEND s cd", ":4 "},
	{"GET s", "$4 abcd "},
	{"STRLEN s", ":4 "},
	{"STRLEN nosuch", ":0 "},

	{"EXPIRE nosuch 10", ":0 "},
	{"EXPIRE s 10", ":1 "},
	{"TTL s", ":10 "},
	{"EXPIRE s 20 NX", ":0 "},
	{"EXPIRE s 20 XX", ":1 "},
	{"TTL s", ":20 "},
	{"EXPIRE s 10 GT", ":0 "},
	{"EXPIRE s 30 GT", ":1 "},
	{"EXPIRE s 40 LT", ":0 "},
	{"EXPIRE s 25 LT", ":1 "},
	{"TTL s", ":25 "},
	{"EXPIRE s 25 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible "},
	{"EXPIRE s 25 GT LT", "-ERR GT and LT options at the same time are not compatible "},
	{"EXPIRE s 25 NOSUCH", "-ERR Unsupported option NOSUCH "},
	{"EXPIRE s x", "-ERR value is not an integer or out of range "},
	{"EXPIRE s 9223372036854775807", "-ERR invalid expire time in 'expire' command "},
	{"EXPIRE s -9223372036854775807", "-ERR invalid expire time in 'expire' command "},
	{"PEXPIRE s 9223372036854775807", "-ERR invalid expire time in 'pexpire' command "},
	{"PERSIST s", ":1 "},
	{"PERSIST s", ":0 "},
	{"PERSIST nosuch", ":0 "},
	{"TTL s", ":-1 "},
	{"PTTL s", ":-1 "},
	{"TTL nosuch", ":-2 "},
	{"PTTL nosuch", ":-2 "},
	{"EXPIRE s 10 GT", ":0 "},
	{"EXPIRE s 10 XX", ":0 "},
	{"EXPIRE s 10 LT", ":1 "},
	{"TTL s", ":10 "},
	{"PEXPIRE s 20000", ":1 "},
	{"TTL s", ":20 "},
	{"EXPIREAT s 99999999999", ":1 "},
	{"PEXPIREAT s 99999999999999", ":1 "},
	{"EXPIRE s -1", ":1 "},
	{"EXISTS s", ":0 "},

	{"INCR n", ":1 "},
	{"INCRBY n 41", ":42 "},
	{"DECR n", ":41 "},
	{"DECRBY n 1", ":40 "},
	{"INCRBY n x", "-ERR value is not an integer or out of range "},
	{"INCRBY n +1", "-ERR value is not an integer or out of range "},
	{"INCRBY n 01", "-ERR value is not an integer or out of range "},
	{"SET n 9223372036854775807", "+OK "},
	{"INCR n", "-ERR increment or decrement would overflow "},
	{"GET n", "$19 9223372036854775807 "},
	{"SET n -9223372036854775808", "+OK "},
	{"DECR n", "-ERR increment or decrement would overflow "},
	{"DECRBY n -9223372036854775808", "-ERR decrement would overflow "},
	{"INCRBY n 9223372036854775807", ":-1 "},
	{"INCRBY n 0", ":-1 "},
	{"SET n abc", "+OK "},
	{"INCR n", "-ERR value is not an integer or out of range "},
	{`SET n ""`, "+OK "},
	{"INCR n", "-ERR value is not an integer or out of range "},
	{"SET n 5 EX 100", "+OK "},
	{"INCR n", ":6 "},
	{"TTL n", ":100 "},
	{"APPEND n 7", ":2 "},
	{"TTL n", ":100 "},

	{"MSET x 1 y 2", "+OK "},
	{"MGET x nosuch y", "*3 $1 1 $-1 $1 2 "},
	{"MSET x", "-ERR wrong number of arguments for 'mset' command "},
	{"MSET x 1 y", "-ERR wrong number of arguments for 'mset' command "},
	{"MSET x 1 x 2", "+OK "},
	{"GET x", "$1 2 "},
	{"FLUSHALL NOSUCH", "-ERR syntax error "},
	{"FLUSHALL SYNC ASYNC", "-ERR syntax error "},
	{"FLUSHALL", "+OK "},
	{"DBSIZE", ":0 "},
	{"SET k1 v", "+OK "},
	{"KEYS k*", "*1 $2 k1 "},
	{"KEYS [a-j]*", "*0 "},
	{"DBSIZE", ":1 "},
	{"FLUSHDB async", "+OK "},
	{"SCAN 0", "*2 $1 0 *0 "},
	{"SCAN x", "-ERR invalid cursor "},
	{"SCAN 0 COUNT 0", "-ERR syntax error "},
	{"SCAN 0 COUNT x", "-ERR value is not an integer or out of range "},
	{"SCAN 0 MATCH", "-ERR syntax error "},
	{"SCAN 0 NOSUCH 1", "-ERR syntax error "},
	{"SET k1 v", "+OK "},
	{"SCAN 0 COUNT 1000 MATCH k? TYPE string", "*2 $1 0 *1 $2 k1 "},
	{"SCAN 0 TYPE hash COUNT 1000", "*2 $1 0 *0 "},
	{"COMMAND NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try COMMAND HELP. "},
	{"COMMAND COUNT x", "-ERR wrong number of arguments for 'command|count' command "},
	{"COMMAND INFO nosuch", "*1 $-1 "},
	{"COMMAND DOCS nosuch", "*0 "},
	{"FLUSHALL", "+OK "},

	{"HSET h a 1 b 2", ":2 "},
	{"HSET h a 3", ":0 "},
	{"HSET h a", "-ERR wrong number of arguments for 'hset' command "},
	{"HSET h a 1 b", "-ERR wrong number of arguments for 'hset' command "},
	{"HMSET h c 4", "+OK "},
	{"HSETNX h c 5", ":0 "},
	{"HSETNX h d 5", ":1 "},
	{"HGET h a", "$1 3 "},
	{"HGET h z", "$-1 "},
	{"HGET nosuch z", "$-1 "},
	{"HMGET h a z b", "*3 $1 3 $-1 $1 2 "},
	{"HMGET nosuch a", "*1 $-1 "},
	{"HLEN h", ":4 "},
	{"HEXISTS h a", ":1 "},
	{"HEXISTS h z", ":0 "},
	{"HSTRLEN h a", ":1 "},
	{"HKEYS h", "*4 $1 a $1 b $1 c $1 d "},
	{"HVALS h", "*4 $1 3 $1 2 $1 4 $1 5 "},
	{"HGETALL h", "*8 $1 a $1 3 $1 b $1 2 $1 c $1 4 $1 d $1 5 "},
	{"HGETALL nosuch", "*0 "},
	{"HINCRBY h a 4", ":7 "},
	{"HINCRBY h n 4", ":4 "},
	{"HINCRBY h a x", "-ERR value is not an integer or out of range "},
	{"HSET h t x", ":1 "},
	{"HINCRBY h t 1", "-ERR hash value is not an integer "},
	{"HINCRBYFLOAT h a 0.5", "$3 7.5 "},
	{"HINCRBYFLOAT h t 1", "-ERR hash value is not a float "},
	{"HINCRBYFLOAT h a x", "-ERR value is not a valid float "},
	{"HDEL h a z", ":1 "},
	{"HDEL h b c d n t", ":5 "},
	{"EXISTS h", ":0 "},
	{"HSET h a 1", ":1 "},
	{"HSCAN h 0", "*2 $1 0 *2 $1 a $1 1 "},
	{"HSCAN h 0 MATCH b*", "*2 $1 0 *0 "},
	{"HSCAN h x", "-ERR invalid cursor "},
	{"TYPE h", "+hash "},
	{"GET h", "-WRONGTYPE Operation against a key holding the wrong kind of value "},
	{"INCR h", "-WRONGTYPE Operation against a key holding the wrong kind of value "},
	{"APPEND h x", "-WRONGTYPE Operation against a key holding the wrong kind of value "},
	{"SET h x GET", "-WRONGTYPE Operation against a key holding the wrong kind of value "},
	{"MGET h", "*1 $-1 "},
	{"EXPIRE h 100", ":1 "},
	{"HSET h b 1", ":1 "},
	{"TTL h", ":100 "},
	{"SET h x", "+OK "},
	{"HGET h a", "-WRONGTYPE Operation against a key holding the wrong kind of value "},
	{"HSET h a 1", "-WRONGTYPE Operation against a key holding the wrong kind of value "},

	{"SETEX k 100 v", "+OK "},
	{"TTL k", ":100 "},
	{"SETEX k 0 v", "-ERR invalid expire time in 'setex' command "},
	{"PSETEX k 100000 v", "+OK "},
	{"SETNX k w", ":0 "},
	{"SETNX l w", ":1 "},
	{"GETSET l x", "$1 w "},
	{"GETEX l EX 100", "$1 x "},
	{"TTL l", ":100 "},
	{"GETEX l", "$1 x "},
	{"TTL l", ":100 "},
	{"GETEX l PERSIST", "$1 x "},
	{"TTL l", ":-1 "},
	{"GETEX l EX 0", "-ERR invalid expire time in 'getex' command "},
	{"GETEX l NOSUCH", "-ERR syntax error "},
	{"GETEX l EXAT 99999999999", "$1 x "},
	{"EXPIRETIME l", ":99999999999 "},
	{"PEXPIRETIME l", ":99999999999000 "},
	{"EXPIRETIME nosuch", ":-2 "},
	{"EXPIRETIME h", ":-1 "},
	{"GETRANGE l 0 -1", "$1 x "},
	{"SET l abcdef", "+OK "},
	{"GETRANGE l 1 3", "$3 bcd "},
	{"GETRANGE l -3 -1", "$3 def "},
	{"GETRANGE l 4 100", "$2 ef "},
	{"GETRANGE l 3 1", "$0  "},
	{"GETRANGE l -100 1", "$2 ab "},
	{"GETRANGE nosuch 0 1", "$0  "},
	{"SETRANGE l 2 XY", ":6 "},
	{"GET l", "$6 abXYef "},
	{"SETRANGE l -1 x", "-ERR offset is out of range "},
	{"SETRANGE l 6 gh", ":8 "},
	{"SETRANGE l 600000000 x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len) "},
	{"INCRBYFLOAT f 1.5", "$3 1.5 "},
	{"INCRBYFLOAT f 1.5", "$1 3 "},
	{"INCRBYFLOAT f x", "-ERR value is not a valid float "},
	{"INCRBYFLOAT l 1", "-ERR value is not a valid float "},
	{"MSETNX f 1 g 2", ":0 "},
	{"EXISTS g", ":0 "},
	{"MSETNX g 1 i 2", ":1 "},
	{"RENAME nosuch x", "-ERR no such key "},
	{"RENAME g j", "+OK "},
	{"EXISTS g j", ":1 "},
	{"RENAMENX j i", ":0 "},
	{"RENAMENX j g", ":1 "},
	{"COPY g i", ":0 "},
	{"COPY g i REPLACE", ":1 "},
	{"GET i", "$1 1 "},
	{"COPY nosuch i", ":0 "},
	{"COPY g g REPLACE", "-ERR source and destination objects are the same "},
	{"TOUCH g nosuch", ":1 "},
	{"OBJECT REFCOUNT nosuch", "$-1 "},
	{"DISCARD", "-ERR DISCARD without MULTI "},
	{"EXEC", "-ERR EXEC without MULTI "},
	{"MULTI", "+OK "},
	{"MULTI", "-ERR MULTI calls can not be nested "},
	{"WATCH g", "-ERR WATCH inside MULTI is not allowed "},
	{"DISCARD", "+OK "},
	{"MULTI", "+OK "},
	{"SET a 1", "+QUEUED "},
	{"INCR a", "+QUEUED "},
	{"HGET a x", "+QUEUED "},
	{"EXEC", "*3 +OK :2 -WRONGTYPE Operation against a key holding the wrong kind of value "},
	{"MULTI", "+OK "},
	{"NOSUCH", "-ERR unknown command 'NOSUCH', with args beginning with:  "},
	{"SET a 5", "+QUEUED "},
	{"EXEC", "-EXECABORT Transaction discarded because of previous errors. "},
	{"GET a", "$1 2 "},
	{"MULTI", "+OK "},
	{"EXEC", "*0 "},
	{"WATCH a b", "+OK "},
	{"SET a 3", "+OK "},
	{"MULTI", "+OK "},
	{"SET a 4", "+QUEUED "},
	{"EXEC", "*-1 "},
	{"GET a", "$1 3 "},
	{"WATCH a", "+OK "},
	{"UNWATCH", "+OK "},
	{"SET a 5", "+OK "},
	{"MULTI", "+OK "},
	{"GET a", "+QUEUED "},
	{"FLUSHALL", "+QUEUED "},
	{"DBSIZE", "+QUEUED "},
	{"EXEC", "*3 $1 5 +OK :0 "},
	{"WATCH nosuch", "+OK "},
	{"MULTI", "+OK "},
	{"SET nosuch 1", "+QUEUED "},
	{"EXEC", "*1 +OK "},
	{"PUBLISH nobody x", ":0 "},
	{"PUBSUB CHANNELS", "*0 "},
	{"PUBSUB NUMSUB a b", "*4 $1 a :0 $1 b :0 "},
	{"PUBSUB NUMPAT", ":0 "},
	{"SUBSCRIBE a b", "*3 $9 subscribe $1 a :1 "},
	{"", "*3 $9 subscribe $1 b :2 "},
	{"PSUBSCRIBE a*", "*3 $10 psubscribe $2 a* :3 "},
	{"GET a", "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context "},
	{"PING", "*2 $4 pong $0  "},
	{"UNSUBSCRIBE a", "*3 $11 unsubscribe $1 a :2 "},
	{"UNSUBSCRIBE", "*3 $11 unsubscribe $1 b :1 "},
	{"UNSUBSCRIBE", "*3 $11 unsubscribe $-1 :1 "},
	{"PUNSUBSCRIBE", "*3 $12 punsubscribe $2 a* :0 "},
	{"GET a", "$-1 "},
	{"RESET", "+RESET "},
	{"CONFIG GET nosuch", "*0 "},
	{"CONFIG GET save", "*2 $4 save $0  "},
	{"CONFIG GET append*only", "*2 $10 appendonly $2 no "},
	{"CONFIG SET nosuch 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch' "},
	{"CONFIG RESETSTAT", "+OK "},
	{"CONFIG NOSUCH", "-ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP. "},
	{"CLIENT NO-EVICT on", "+OK "},
	{"CLIENT GETREDIR", ":-1 "},
	{"QUIT", "+OK "},
}

func TestTalk(t *testing.T) {
	c := dial(t, startCache(t, sdktest.Options{}).Addr("resp"))
	for _, line := range talk {
		got, err := c.say(line.say)
		if err != nil {
			t.Fatalf("%s: %v", line.say, err)
		}
		if short(got) != line.reply {
			t.Errorf("%s: %q, want %q", line.say, short(got), line.reply)
		}
	}
	if _, err := c.do("PING"); err == nil {
		t.Error("the connection is open after QUIT")
	}
}

func TestHello3SpeaksRESP3(t *testing.T) {
	c := dial(t, startCache(t, sdktest.Options{}).Addr("resp"))
	got, err := c.do("HELLO", "3", "SETNAME", "me")
	if err != nil || !strings.HasPrefix(got, "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n") || !strings.Contains(got, "proto\r\n:3\r\n") {
		t.Errorf("HELLO 3: %q, %v", got, err)
	}
	for _, line := range []struct{ say, reply string }{
		{"GET nosuch", "_ "}, {"CLIENT GETNAME", "$2 me "}, {"MGET nosuch", "*1 _ "}, {"COMMAND DOCS nosuch", "%0 "},
	} {
		if got, err := c.do(words(line.say)...); err != nil || short(got) != line.reply {
			t.Errorf("%s: %q, %v; want %q", line.say, short(got), err, line.reply)
		}
	}
	if got, err := c.do("HELLO", "2"); err != nil || !strings.HasPrefix(got, "*14\r\n") {
		t.Errorf("HELLO 2: %q, %v", got, err)
	}
}

func TestKeysExpireAndAreCounted(t *testing.T) {
	s := startCache(t, sdktest.Options{})
	c := dial(t, s.Addr("resp"))
	for _, line := range []string{"SET a 1 PX 30", "SET b 1 EX 100", "SET c 1", "PEXPIRE c 40"} {
		if got, err := c.do(words(line)...); err != nil || got[0] == '-' {
			t.Fatalf("%s: %q, %v", line, got, err)
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(s.Verb("stats", "--json"), `"expired":2,"evicted":0,`) {
		if time.Now().After(deadline) {
			t.Fatalf("stats: %s", s.Verb("stats", "--json"))
		}
		time.Sleep(5 * time.Millisecond)
	}
	if got := s.Verb("stats"); got != "entries=1 evictions=0" {
		t.Errorf("what has expired was not evicted: %s", got)
	}
	if got, _ := c.do("MGET", "a", "b", "c"); short(got) != "*3 $-1 $1 1 $-1 " {
		t.Errorf("MGET: %q", short(got))
	}
}

func TestKeysOutliveTheProcess(t *testing.T) {
	s := startCache(t, sdktest.Options{})
	c := dial(t, s.Addr("resp"))
	if _, err := c.do("SET", "a", "1", "EX", "100"); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	s = startCache(t, sdktest.Options{StateDir: s.StateDir()})
	c = dial(t, s.Addr("resp"))
	for _, line := range []struct{ say, reply string }{{"GET a", "$1 1 "}, {"TTL a", ":100 "}} {
		if got, err := c.do(words(line.say)...); err != nil || short(got) != line.reply {
			t.Errorf("%s: %q, %v", line.say, short(got), err)
		}
	}
}

func TestScanSeesEveryKey(t *testing.T) {
	c := dial(t, startCache(t, sdktest.Options{}).Addr("resp"))
	want := 3000
	for i := range want {
		if _, err := c.do("SET", "key:"+strings.Repeat("x", i%7)+time.Duration(i).String(), "v"); err != nil {
			t.Fatal(err)
		}
	}
	seen, cursor := map[string]bool{}, "0"
	for {
		reply, err := c.do("SCAN", cursor, "COUNT", "100", "MATCH", "key:*")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(reply, "\r\n")
		for _, line := range lines[4:] {
			if strings.HasPrefix(line, "key:") {
				seen[line] = true
			}
		}
		if cursor = lines[2]; cursor == "0" {
			break
		}
	}
	if len(seen) != want {
		t.Errorf("SCAN saw %d keys of %d", len(seen), want)
	}
}

func TestInfo(t *testing.T) {
	c := dial(t, startCache(t, sdktest.Options{}).Addr("resp"))
	if _, err := c.do("SET", "a", "1"); err != nil {
		t.Fatal(err)
	}
	got, err := c.do("INFO")
	for _, want := range []string{"# Server\r\nredis_version:", "\r\n\r\n# Memory\r\nused_memory:", "expired_keys:0", "db0:keys=1,"} {
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("INFO has no %q: %v\n%s", want, err, got)
		}
	}
	if got, err := c.do("INFO", "keyspace"); err != nil || strings.Contains(got, "# Server") || !strings.Contains(got, "# Keyspace") {
		t.Errorf("INFO keyspace: %v\n%s", err, got)
	}
	if got, err := c.do("INFO", "nosuch"); err != nil || short(got) != "$0  " {
		t.Errorf("INFO nosuch: %v %q", err, got)
	}
}

func TestCommandTable(t *testing.T) {
	c := dial(t, startCache(t, sdktest.Options{}).Addr("resp"))
	got, err := c.do("COMMAND", "INFO", "get", "MSET")
	if want := "*2 *10 $3 get :2 *2 +readonly +fast :1 :1 :1 *0 *0 *0 *0 *10 $4 mset :-3 *2 +write +denyoom :1 :-1 :2 *0 *0 *0 *0 "; err != nil || short(got) != want {
		t.Errorf("COMMAND INFO: %q, %v", short(got), err)
	}
	all, err := c.do("COMMAND")
	if err != nil || strings.Count(all, "*10\r\n") != len(commands) {
		t.Errorf("COMMAND has %d commands, want %d: %v", strings.Count(all, "*10\r\n"), len(commands), err)
	}
	for i := range commands {
		if i > 0 && commands[i-1].name >= commands[i].name {
			t.Errorf("%s stands after %s", commands[i].name, commands[i-1].name)
		}
	}
}

func TestVerbs(t *testing.T) {
	s := startCache(t, sdktest.Options{})
	c := dial(t, s.Addr("resp"))
	for _, v := range []struct{ call, want string }{
		{"put user:42 active --ttl 30s", "ok"},
		{"get user:42", "active"},
		{"put --ttl 1h a b", "ok"},
		{"put -- --ttl b", "ok"},
		{"get -- --ttl", "b"},
		{"del --ttl", "1"},
		{"put c d", "ok"},
		{"stats", "entries=3 evictions=0"},
		{"del c nosuch", "1"},
	} {
		w := words(v.call)
		if got := s.Verb(w[0], w[1:]...); got != v.want {
			t.Errorf("cache %s: %q, want %q", v.call, got, v.want)
		}
	}
	for key, want := range map[string]string{"user:42": ":30 ", "a": ":3600 ", "c": ":-2 "} {
		if got, _ := c.do("TTL", key); short(got) != want {
			t.Errorf("TTL %s: %q, want %q", key, short(got), want)
		}
	}
	for _, call := range []string{"get nosuch", "get", "put a", "put a b c", "put a b --ttl", "put a b --ttl x", "put a b --ttl -1s", "put a b --ttl 0", "del", "stats x"} {
		w := words(call)
		if s.VerbError(w[0], w[1:]...) == nil {
			t.Errorf("cache %s succeeded", call)
		}
	}
}
