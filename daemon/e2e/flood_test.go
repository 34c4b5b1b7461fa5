package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	floodUsers = 1000 // counted with one request
	floodMost  = 2000 // requests, before a disk has to be full
)

// flood counts visits of ever new users until one request is refused, and prints how; `flood check` asks for every
// user of the requests that were not.
func flood(ts *testscript.TestScript, neg bool, args []string) {
	i := instanceOf(ts)
	switch {
	case !neg && len(args) == 0:
		i.flooded = 0
		for ; i.flooded < floodMost; i.flooded++ {
			status, text, err := i.post(i.flooded)
			ts.Check(err)
			if status != http.StatusOK {
				fmt.Fprintf(ts.Stdout(), "refused: %d %s\n", status, text)
				return
			}
		}
		ts.Fatalf("%d visits were all taken", floodMost*floodUsers)
	case !neg && len(args) == 1 && args[0] == "check":
		lost, err := i.missing()
		ts.Check(err)
		fmt.Fprintf(ts.Stdout(), "users=%d lost=%d\n", i.flooded*floodUsers, lost)
	default:
		ts.Fatalf("usage: flood, then flood check")
	}
}

func floodUser(request, n int) string {
	return fmt.Sprintf("flood-%d-%d-%s", request, n, strings.Repeat("x", 32))
}

func (i *instance) post(request int) (status int, text string, err error) {
	var body strings.Builder
	for n := range floodUsers {
		fmt.Fprintln(&body, floodUser(request, n))
	}
	res, err := http.Post("http://"+i.http+"/visits", "text/plain", strings.NewReader(body.String()))
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close() //nolint:errcheck // it is read to its end
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, strings.TrimSpace(string(answer)), err
}

// missing counts the acknowledged users that are not there.
func (i *instance) missing() (lost int, err error) {
	for request := range i.flooded {
		for _, n := range []int{0, floodUsers / 2, floodUsers - 1} {
			res, err := http.Get("http://" + i.http + "/visits/" + floodUser(request, n))
			if err != nil {
				return lost, err
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				lost++
			}
		}
	}
	return lost, nil
}
