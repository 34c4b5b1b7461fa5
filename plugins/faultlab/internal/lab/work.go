package lab

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// WorkArg is the first argument of a program that is a worker.
const WorkArg = "worker"

// exitOfWorker is how a worker exits that gives up.
const exitOfWorker = 3

// Work is the main function of a worker that is a process of the operating system. It does what it is told on standard
// input, and ends when that does, hanging or not.
func Work(args []string) int {
	if len(args) != 2 {
		fmt.Println("want how slow to start, and whether to refuse")
		return 2
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	words := make(chan string, 16) // more than the lab says to one that hangs
	go hear(words)
	if slow, err := time.ParseDuration(args[0]); err == nil {
		<-time.After(slow)
	}
	if args[1] == "true" {
		fmt.Println(errRefused)
		return exitOfWorker
	}
	fmt.Println("ready")
	leaked := 0
	for {
		select {
		case <-term:
			return 0
		case word := <-words:
			switch Fault(word) {
			case "ask":
				fmt.Println("well", leaked)
			case Exit:
				return exitOfWorker
			case Hang:
				select {} // SIGTERM is not minded: only SIGKILL ends it
			case Leak:
				newBonds().leak()
				leaked += Leaked
			default:
				panic(errHurt)
			}
		}
	}
}

func hear(words chan<- string) {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		words <- in.Text()
	}
	os.Exit(0) // the lab is gone
}
