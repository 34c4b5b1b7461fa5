package serve

import "errors"

var (
	// ErrBusy says that work in hand did not end within the budget. Nothing has changed.
	ErrBusy = errors.New("serve: requests in hand did not end within the budget")
	// ErrParking is the cause of a request context that ends because this version is about to hand over.
	ErrParking = errors.New("serve: this version hands over to another one")
	// ErrHandover is what a read says when its connection goes to another version. It is a net.Error that calls
	// itself a timeout, which makes net/http leave a connection without a word.
	ErrHandover error = handoverError{}
	// ErrPeerGone says that the paired process died, does not answer, or had to end the pair: out of descriptors, perhaps.
	ErrPeerGone = errors.New("serve: the paired process is gone, or had to end the pair, and its log says why")
	// ErrNoPair says that there is no paired process.
	ErrNoPair = errors.New("serve: not paired")
	// ErrNotServing says that a call needs a group that serves, or one that is parked.
	ErrNotServing = errors.New("serve: this process does not serve now")
	// ErrServedElsewhere says that the paired process serves the connections, so this one must not.
	ErrServedElsewhere = errors.New("serve: the paired process serves the connections")
	// ErrProtocol says that the paired process speaks another language, or that its words came broken.
	ErrProtocol = errors.New("serve: bad data from the paired process")
)

type handoverError struct{}

func (handoverError) Error() string   { return "serve: the connection goes to another version" }
func (handoverError) Timeout() bool   { return true }
func (handoverError) Temporary() bool { return true }
