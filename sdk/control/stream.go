package control

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
)

// stream posts in and gives every event to see. The last event decides what is returned; a stream without one is
// ErrLost.
func (c *Client) stream(ctx context.Context, path string, in any, see func(Event)) error {
	res, err := c.send(ctx, http.MethodPost, path, in)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	last, err := follow(res.Body, see)
	if err != nil {
		return lost(ctx, err)
	}
	if last.Error != nil {
		return last.Error
	}
	return nil
}

// follow reads events, one JSON a line, up to the last one.
func follow(r io.Reader, see func(Event)) (Event, error) {
	lines := json.NewDecoder(r)
	for {
		var e Event
		if err := lines.Decode(&e); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return Event{}, err
		}
		if see != nil {
			see(e)
		}
		if e.Last {
			return e, nil
		}
	}
}
