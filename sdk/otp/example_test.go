package otp_test

import (
	"fmt"

	"github.com/theseusd/theseus/sdk/otp"
)

// Account is the state of one process; the messages say what can be asked of it.
type Account struct{ Balance int }

type Deposit struct {
	otp.Reply[int]
	Amount int
}

func Example() {
	account := &otp.Behaviour[Account]{
		Name:      "account",
		Terminate: func(_ *otp.Ctx, a *Account, reason error) { fmt.Println("closed with", a.Balance, reason) },
	}
	otp.OnCall(account, func(_ *otp.Ctx, a *Account, m Deposit) (int, error) {
		if m.Amount < 0 {
			return 0, fmt.Errorf("cannot deposit %d", m.Amount)
		}
		a.Balance += m.Amount
		return a.Balance, nil
	})

	node := otp.New(otp.Options{})
	defer node.Close()
	ada, err := otp.Start(node, account, nil, otp.Named("ada"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(otp.Call(node, ada, Deposit{Amount: 3}))
	fmt.Println(otp.Call(node, otp.Name("ada"), Deposit{Amount: 4}))
	fmt.Println(otp.Call(node, ada, Deposit{Amount: -1}))
	_ = otp.Halt(node, ada, nil)
	_, err = otp.Call(node, ada, Deposit{Amount: 1})
	fmt.Println(err)
	// Output:
	// 3 <nil>
	// 7 <nil>
	// 0 cannot deposit -1
	// closed with 7 normal
	// process <0.0>: noproc
}
