package buf

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// source gives as much as there is room for, and is told what is held.
type source struct {
	rest []byte
	held []byte
}

func (s *source) ReadMore(held, free []byte) (int, error) {
	s.held = bytes.Clone(held)
	n := copy(free, s.rest)
	if s.rest = s.rest[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Nothing is lost or read twice, however little of it is used at a time.
func TestWhatIsNotUsedStays(t *testing.T) {
	for _, step := range []int{0, 1, 100, 511, 512, 5000} {
		all := make([]byte, 50_000)
		for i := range all {
			all[i] = byte(i * i >> 3)
		}
		b, s := New(4096, bytes.Clone(all[:10])), &source{rest: all[10:]}
		var got []byte
		for err := error(nil); err == nil; {
			if err = b.Read(s); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			got = append(got, b.Use(min(step, len(b.Unused())))...)
			if len(s.held) > len(all) {
				t.Fatal("more is held than was read")
			}
		}
		if got = append(got, b.Unused()...); !bytes.Equal(got, all) {
			t.Errorf("step %d: %d bytes are not what was read", step, len(got))
		}
	}
}

func TestMemory(t *testing.T) {
	const keep = 4096
	b, s := New(keep, nil), &source{rest: make([]byte, 100_000)}
	for len(s.rest) > 0 {
		if err := b.Read(s); err != nil {
			t.Fatal(err)
		}
	}
	if n := cap(b.b); n < 100_000 || n > 300_000 {
		t.Errorf("%d bytes for 100,000 that are not used", n)
	}
	b.Use(len(b.Unused()))
	_ = b.Read(s)
	if n := cap(b.b); n != small {
		t.Errorf("%d bytes are kept after a busy time, want %d", n, small)
	}
	for range 100 {
		s.rest = make([]byte, 10_000)
		for len(s.rest) > 0 {
			_ = b.Read(s)
			b.Use(len(b.Unused()))
		}
	}
	if n := cap(b.b); n > keep {
		t.Errorf("%d bytes for what is used at once, want at most %d", n, keep)
	}
}
