package protocol

import "testing"

// Whatever a client says, each answer is one that clients understand, and nothing of it stays when it has gone.
func FuzzCommands(f *testing.F) {
	f.Add([]byte(`{"id":1,"connect":{}}`+"\n"+`{"id":2,"subscribe":{"channel":"general","recover":true,"epoch":"x","offset":3}}`), false)
	f.Add([]byte(`{"id":3,"publish":{"channel":"general","data":{"id":"a","text":"b"}}}`), false)
	f.Add([]byte(`{"id":4,"history":{"channel":"general","limit":-1,"reverse":true,"since":{"offset":0}}}`), false)
	f.Add([]byte(`{"id":5,"rpc":{"method":"edit","data":{"room":"general","offset":1,"data":1}}}`+"\n{}"), false)
	f.Add([]byte(`{"id":6,"unsubscribe":{"channel":"nowhere"}}`), false)
	f.Add([]byte{9, 8, 1, 0x2a, 5, 10, 3, 'a', 'b', 'c'}, true)
	rooms := startRooms(f)
	s := New(rooms, Options{})
	f.Fuzz(func(t *testing.T, frame []byte, binary bool) {
		speaks := formJSON
		if binary {
			speaks = formProtobuf
		}
		c, w := open(t, s, speaks)
		c.commands(frame)
		c.s.exit(c, false)
		understood(t, speaks, w.out)
		if rooms.Size("general") != 0 || rooms.Members() != 0 || rooms.Busy() != 0 || s.clients.len() != 0 {
			t.Fatal("something is left of a client that has gone")
		}
	})
}
