package resp_test

import (
	"fmt"
	"net"
	"strings"

	"github.com/theseusd/theseus/sdk/serve"
	"github.com/theseusd/theseus/sdk/serve/resp"
)

func ExampleServe() {
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	g := serve.NewGroup(serve.Options{})
	g.Stream("resp", ln, resp.Serve(func(c *resp.Conn, args [][]byte) {
		switch strings.ToUpper(string(args[0])) {
		case "PING":
			c.WriteString("PONG")
		default:
			c.WriteError("ERR unknown command")
		}
	}))
	_ = g.Arm()
	defer g.Hangup()

	nc, _ := net.Dial("tcp", ln.Addr().String())
	defer nc.Close()
	fmt.Fprint(nc, "PING\r\n")
	answer := make([]byte, 7)
	_, _ = nc.Read(answer)
	fmt.Printf("%q", answer)
	// Output: "+PONG\r\n"
}
