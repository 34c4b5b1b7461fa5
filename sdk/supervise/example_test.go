package supervise_test

import (
	"context"
	"fmt"

	"github.com/theseusd/theseus/sdk/supervise"
)

// A consumer that stands on its producer: when the producer fails, both begin anew, in order.
func Example() {
	worker := func(name string, fail <-chan struct{}) supervise.ChildSpec {
		return supervise.ChildSpec{ID: name, Start: supervise.Go(func(ctx context.Context, ready func()) error {
			fmt.Println(name, "is up")
			ready()
			select {
			case <-fail:
				return fmt.Errorf("%s failed", name)
			case <-ctx.Done():
				fmt.Println(name, "ends")
				return context.Cause(ctx)
			}
		})}
	}
	fail := make(chan struct{})
	sup, err := supervise.New(supervise.Flags{Strategy: supervise.RestForOne},
		worker("producer", fail), worker("consumer", nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	ready := make(chan struct{})
	go func() { done <- sup.Run(ctx, func() { close(ready) }) }()
	<-ready
	fail <- struct{}{}
	for n := 0; n < 1; { // until the producer was started again
		list, _ := sup.Children(ctx)
		n = list[0].Restarts
	}
	stop()
	fmt.Println("because of", <-done)
	// Output:
	// producer is up
	// consumer is up
	// consumer ends
	// producer is up
	// consumer is up
	// consumer ends
	// producer ends
	// because of shutdown
}
