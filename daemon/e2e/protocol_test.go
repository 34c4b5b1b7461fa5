package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// protocol counts for a user and tells the count; an error is a request that failed.
type protocol interface {
	ask(out io.Writer, in *bufio.Reader, user string, add bool) (count int64, err error)
}

// visitsOverHTTP is one request of the visits service on a connection that must stay.
type visitsOverHTTP struct{}

func (visitsOverHTTP) ask(out io.Writer, in *bufio.Reader, user string, add bool) (int64, error) {
	method := http.MethodGet
	if add {
		method = http.MethodPost
	}
	request := "%s /visits/%s HTTP/1.1\r\nHost: visits\r\nContent-Length: 0\r\n\r\n"
	if _, err := fmt.Fprintf(out, request, method, user); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close() //nolint:errcheck // it is read to its end
	var answer struct{ Count int64 }
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return 0, err
	}
	switch {
	case res.StatusCode != http.StatusOK:
		return 0, errors.New(res.Status)
	case res.Close:
		return 0, errors.New("the server ends the connection")
	}
	return answer.Count, nil
}

// countersOverRESP is one command of the cache.
type countersOverRESP struct{}

func (countersOverRESP) ask(out io.Writer, in *bufio.Reader, user string, add bool) (int64, error) {
	command := "GET"
	if add {
		command = "INCR"
	}
	if _, err := fmt.Fprintf(out, "*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(command), command, len(user), user); err != nil {
		return 0, err
	}
	line, err := in.ReadString('\n')
	if err == nil && line[0] == '$' {
		line, err = in.ReadString('\n')
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimPrefix(strings.TrimSpace(line), ":"), 10, 64)
}

// limitOfScripts is the limit of the policies in scripts.
const limitOfScripts = 1_000_000_000

// limitsOverRESP is one command of ratelimit, under the policy "count".
type limitsOverRESP struct{}

func (limitsOverRESP) ask(out io.Writer, in *bufio.Reader, user string, add bool) (int64, error) {
	cost := 0
	if add {
		cost = 1
	}
	if _, err := fmt.Fprintf(out, "*4\r\n$8\r\nRL.CHECK\r\n$5\r\ncount\r\n$%d\r\n%s\r\n$1\r\n%d\r\n", len(user), user, cost); err != nil {
		return 0, err
	}
	var lines [6]string // *5, limited, limit, remaining, retry, reset
	for n := range lines {
		line, err := in.ReadString('\n')
		if err == nil && line[0] == '-' {
			err = errors.New(line)
		}
		if err != nil {
			return 0, err
		}
		lines[n] = strings.TrimSpace(line)
	}
	if lines[1] != ":0" {
		return 0, errors.New("over the limit")
	}
	left, err := strconv.ParseInt(strings.TrimPrefix(lines[3], ":"), 10, 64)
	return limitOfScripts - left, err
}
