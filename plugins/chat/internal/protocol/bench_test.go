package protocol

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"runtime"
	"testing"

	"github.com/theseusd/theseus/plugins/chat/internal/room"
	"github.com/theseusd/theseus/sdk/serve/ws"
)

// sink is a connection that takes everything.
type sink struct{ session []byte }

func (s *sink) Session() []byte           { return s.session }
func (s *sink) SetSession(b []byte) error { s.session = bytes.Clone(b); return nil }
func (s *sink) SendFrame([]byte) error    { return nil }
func (s *sink) Free() int                 { return ws.MaxQueue }
func (s *sink) Parking() bool             { return false }
func (s *sink) Close(int, string)         {}
func (s *sink) Fail()                     {}

// fill brings clients into one room.
func fill(b *testing.B, s *Server, sinks []sink) []*client {
	b.Helper()
	all := make([]*client, len(sinks))
	for n := range sinks {
		sinks[n].session = fresh(formJSON)
		all[n] = s.enter(&sinks[n])
		all[n].commands([]byte(fmt.Sprintf(`{"id":1,"connect":{"data":{"user":"user-%d"}}}`, n)))
		all[n].commands([]byte(subscribe))
	}
	return all
}

// resume brings clients into one room that were in it in another version.
func resume(s *Server, sinks []sink) []*client {
	all := make([]*client, len(sinks))
	for n := range sinks {
		before := client{id: rand.Text(), user: fmt.Sprintf("user-%d", n), subs: []*subscription{{Seat: room.Seat{Room: "general"}}}}
		sinks[n].session = before.pack()
		all[n] = s.enter(&sinks[n])
	}
	return all
}

// heap is what is in use, and in how many pieces.
func heap() (bytes, pieces float64) {
	var m runtime.MemStats
	for range 3 { // pools keep things over one
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc), float64(m.HeapObjects)
}

// BenchmarkClient is what the chat itself keeps of a client in one room, its session included. Run it with -benchtime 1x.
func BenchmarkClient(b *testing.B) {
	const clients = 10_000
	for b.Loop() {
		s := New(startRooms(b), Options{})
		sinks := make([]sink, clients)
		bytes, pieces := heap()
		all := fill(b, s, sinks)
		more, morePieces := heap()
		b.ReportMetric((more-bytes)/clients-8, "B/client") // 8 in all
		b.ReportMetric((morePieces-pieces)/clients, "pieces/client")
		runtime.KeepAlive(all)
	}
	b.ReportMetric(0, "ns/op")
}

// BenchmarkTell is what it takes the chat itself to tell a member of a room a message: in the caches of the processor, and not.
func BenchmarkTell(b *testing.B) {
	for _, members := range []int{5000, 200_000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			s := New(startRooms(b), Options{})
			resume(s, make([]sink, members))
			m := room.Message{User: "ada", Data: room.Say("hello")}
			for b.Loop() {
				s.rooms.Tell(&room.Event{Room: "general", Kind: room.Said, Entry: room.Entry{Offset: 1, Message: m}})
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(members), "ns/member")
		})
	}
}

// BenchmarkResume makes clients, each in one room, of the sessions of another version.
func BenchmarkResume(b *testing.B) {
	const clients = 10_000
	s := New(startRooms(b), Options{})
	sinks := make([]sink, clients)
	all := resume(s, sinks)
	for b.Loop() {
		b.StopTimer()
		for _, c := range all {
			s.exit(c, true)
		}
		b.StartTimer()
		for n := range sinks {
			all[n] = s.enter(&sinks[n])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/clients, "ns/client")
}
