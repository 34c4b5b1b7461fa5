// A service that knows one thing: what it says for --describe. That stands behind the last "#" of its own binary, so that
// tests make many services of one build.
package main

import (
	"bytes"
	"os"
	"os/exec"
	"time"
)

func main() {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil || len(os.Args) != 2 || os.Args[1] != "--describe" {
		os.Exit(64)
	}
	said := self[bytes.LastIndexByte(self, '#')+1:]
	what, text, _ := bytes.Cut(said, []byte(" "))
	switch string(what) {
	case "say":
		os.Stdout.Write(text)
	case "fail":
		os.Stderr.Write(text)
		os.Exit(3)
	case "hang":
		time.Sleep(time.Hour)
	case "flood":
		for os.Stdout.Write(make([]byte, 1<<16)); ; {
			if _, err := os.Stdout.Write(make([]byte, 1<<16)); err != nil {
				os.Exit(0)
			}
		}
	case "leave": // a child that keeps the output open
		child := exec.Command("/bin/sleep", "3600")
		child.Stdout = os.Stdout
		if child.Start() != nil {
			os.Exit(5)
		}
	case "environ":
		for _, v := range os.Environ() {
			os.Stdout.WriteString(v + "\n")
		}
		dir, _ := os.Getwd()
		os.Stdout.WriteString(dir + "\n")
	}
}
