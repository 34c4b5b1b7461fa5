package serve_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/theseusd/theseus/sdk/serve"
)

// A version that serves hands over to the next one; here both are in one process.
func ExampleGroup() {
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	handler := func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello") }

	g := serve.NewGroup(serve.Options{})
	g.HTTP("http", ln, &http.Server{Handler: http.HandlerFunc(handler)})
	if err := g.Arm(); err != nil {
		fmt.Println(err)
	}
	resp, err := http.Get("http://" + ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()

	fmt.Println(resp.Status, g.Park(context.Background(), time.Second))
	g.Hangup()
	// Output: 200 OK <nil>
}

// A handler of lines. What ReadMore is told it holds is there again in the next version.
func ExampleConn_ReadMore() {
	handle := func(c *serve.Conn) {
		buf, have := make([]byte, 4096), 0
		for have < len(buf) {
			n, err := c.ReadMore(buf[:have], buf[have:])
			if err != nil {
				return // the end, or serve.ErrHandover
			}
			have += n
			for end := bytes.IndexByte(buf[:have], '\n') + 1; end > 0; end = bytes.IndexByte(buf[:have], '\n') + 1 {
				_, _ = c.Write(bytes.ToUpper(buf[:end]))
				have = copy(buf, buf[end:have])
			}
		}
	}
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	g := serve.NewGroup(serve.Options{})
	g.Stream("lines", ln, handle)
	_ = g.Arm()
	defer g.Hangup()

	nc, _ := net.Dial("tcp", ln.Addr().String())
	defer nc.Close()
	fmt.Fprintln(nc, "hello")
	answer := make([]byte, 6)
	_, _ = nc.Read(answer)
	fmt.Printf("%s", answer)
	// Output: HELLO
}

// A stream that ends early when its version is about to hand over.
func ExampleParking() {
	_ = func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprint(w, "data: tick\n\n")
				_ = http.NewResponseController(w).Flush()
			case <-serve.Parking(r.Context()):
				return // the client connects again, to the next version
			case <-r.Context().Done():
				return
			}
		}
	}
}
