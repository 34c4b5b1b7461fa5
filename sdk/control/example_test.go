package control_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/theseusd/theseus/sdk/control"
)

// Upgrade to the newest release, exactly as planned.
func ExampleClient() {
	ctx := context.Background()
	c, err := control.Dial("") // the instance of $THESEUS_DIR or of the current directory
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := c.Plan(ctx, control.PlanRequest{})
	if errors.Is(err, control.ErrNoDaemon) {
		fmt.Println("start theseusd first")
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	err = c.Upgrade(ctx, control.UpgradeRequest{To: plan.To, Digest: plan.Digest, By: "example"}, func(e control.Event) {
		fmt.Println(e.Kind, e.Service, e.Text)
	})
	fmt.Println("done:", err)
}

// Ask the running version of a service.
func ExampleService() {
	visits, err := control.DialService("", "visits")
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := visits.Call(context.Background(), "hit", "ada")
	fmt.Println(answer, err)
}
