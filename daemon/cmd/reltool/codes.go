package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/theseusd/theseus/sdk/control"
)

// exitCodesTopic is a page of help: reltool help exit-codes.
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use: "exit-codes", Short: "What reltool ends with, and the codes of errors in JSON",
		Long: `reltool ends with

  0   done
  1   it was tried and failed; the reason and a hint are on stderr
  2   called wrongly
  3   no daemon can be reached

With --json a failure is one line of JSON on stderr: "code", "error" and, where there is something to say, "running" and
"hint". An upgrade or a rollback that has begun ends its events on stdout with the same in "error". The code is stable:

` + codeTable(),
	}
}

func codeTable() string {
	var b strings.Builder
	for _, c := range control.Codes {
		fmt.Fprintf(&b, "  %-13s %d  %s\n", c.Code, c.Exit, c.Meaning)
	}
	return strings.TrimRight(b.String(), "\n")
}
