package host

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theseusd/theseus/upgrades"
	"github.com/theseusd/theseus/upgrades/release"
)

// httpAt are the addresses of the listener http that the keel was last told to keep.
func (s *sockets) httpAt(owner string) (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.retained[owner] {
		if a.Name == "http" && !slices.Contains(list, a.Address) {
			list = append(list, a.Address)
		}
	}
	slices.Sort(list)
	return list
}

// at is a settings text that moves the listener http.
func at(address string) release.Settings {
	return release.Settings(fmt.Sprintf(`{"listen":{"http":%q}}`, address))
}

func free(t *testing.T, host string) string {
	t.Helper()
	ln, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// Both addresses stay while both processes live; then only that of the one that serves does.
func TestListenersFollowTheVersionThatServes(t *testing.T) {
	f := newFixture(t, testDir(t))
	addresses := []string{free(t, "127.0.0.1"), free(t, "127.0.0.2")}
	var both []*instance
	for i, address := range addresses {
		p := f.shelf["d1.0.0"]
		p.Settings = at(address)
		f.Take("fake")
		if err := f.Listen(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		in, err := f.Start(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if got := in.Package().Settings; got != p.Settings {
			t.Errorf("started with %s", got)
		}
		both = append(both, in.(*instance))
		if _, err := in.Activate(t.Context(), nil, false); err != nil {
			t.Fatal(err)
		}
		f.Give("fake", in)
		if got := f.keel.httpAt("fake"); !slices.Equal(got, addresses[:i+1]) {
			t.Errorf("kept %v of %v", got, addresses)
		}
	}
	f.Take("fake")
	if err := both[0].Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if got := f.keel.httpAt("fake"); len(got) != 2 {
		t.Errorf("something was closed while the service was taken: %v", got)
	}
	f.Give("fake", both[1])
	if got := f.keel.httpAt("fake"); !slices.Equal(got, addresses[1:]) {
		t.Errorf("kept %v, want %s", got, addresses[1])
	}
}

func TestListenersAreTidiedWhenAProcessEnds(t *testing.T) {
	f := newFixture(t, testDir(t))
	in := f.serve("1.0.0")
	p := f.shelf["d1.0.0"]
	p.Settings = at(free(t, "127.0.0.2"))
	young, err := f.Start(t.Context(), p) // a standby that is not given
	if err != nil {
		t.Fatal(err)
	}
	f.Give("fake", in)
	if got := f.keel.httpAt("fake"); len(got) != 2 {
		t.Errorf("kept %v", got)
	}
	if err := young.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if got := f.keel.httpAt("fake"); !slices.Equal(got, []string{"127.0.0.1:0"}) {
		t.Errorf("kept %v", got)
	}
}

func TestPortThatIsTakenIsNamed(t *testing.T) {
	f := newFixture(t, testDir(t))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := f.shelf["d1.0.0"]
	p.Settings = at(ln.Addr().String())
	var taken *upgrades.ListenError
	if err := f.Listen(t.Context(), p); !errors.As(err, &taken) || taken.Address != ln.Addr().String() || !strings.Contains(err.Error(), "already in use") {
		t.Errorf("%v", err)
	}
}

func TestLimitsAreThoseOfTheVersionAndItsSettings(t *testing.T) {
	f := newFixture(t, testDir(t))
	p := f.shelf["d1.0.0"]
	if got := f.limits(p); got.Intensity != 3 || got.Period.Std() != 5*time.Second {
		t.Errorf("%+v", got)
	}
	p.Settings = `{"restart":{"intensity":9,"period":"1m0s"}}`
	if got := f.limits(p); got.Intensity != 9 || got.Period.Std() != time.Minute {
		t.Errorf("%+v", got)
	}
}
