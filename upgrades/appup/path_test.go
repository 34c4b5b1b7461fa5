package appup

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// graph is a service with versions 1.0.0 to 1.N.0 and their manifests, drawn at random.
type graph struct {
	t    *testing.T
	rand *rand.Rand
	all  []Version
}

func newGraph(t *testing.T, seed uint64) *graph {
	g := &graph{t: t, rand: rand.New(rand.NewPCG(seed, 1))}
	for n := range 3 + g.rand.IntN(6) {
		g.all = append(g.all, version(t, fmt.Sprintf("1.%d.0", n), g.drops(n)+g.sections("up", "from", n)+g.sections("down", "to", n)))
	}
	return g
}

func (g *graph) drops(n int) string {
	if n == 0 || g.rand.IntN(4) > 0 {
		return ""
	}
	return "drop = [\"visits\"]\n"
}

// sections lead to or from versions below n.
func (g *graph) sections(table, key string, n int) string {
	var b strings.Builder
	seen := map[string]bool{}
	for range g.rand.IntN(3) {
		low := g.rand.IntN(max(n, 1))
		text := []string{
			fmt.Sprintf("~1.%d", low), fmt.Sprintf("= 1.%d.0", low), fmt.Sprintf(">= 1.%d, < 1.%d", low, low+1+g.rand.IntN(2)),
		}[g.rand.IntN(3)]
		if seen[text] {
			continue
		}
		seen[text] = true
		fmt.Fprintf(&b, "[[%s]]\n%s = %q\ndo = %q\nprobation = \"%ds\"\n", table, key, text,
			[]string{"update", "load", "restart"}[g.rand.IntN(3)], 1+g.rand.IntN(30))
		if g.rand.IntN(6) == 0 {
			b.WriteString("irreversible = true\n")
		}
	}
	return b.String()
}

// edge is the appup between two versions alone, nil if there is none.
func (g *graph) edge(from, to int) *Relup {
	r, err := Compile(g.all[from], g.all[to])
	var none *NoAppupError
	if err != nil && !errors.As(err, &none) {
		g.t.Fatal(err)
	}
	return r
}

// ways are all ways between two versions, by trying everything.
func (g *graph) ways(from, to int) (all [][]int) {
	step := 1
	if to < from {
		step = -1
	}
	var walk func(trail []int)
	walk = func(trail []int) {
		at := trail[len(trail)-1]
		if at == to {
			all = append(all, slices.Clone(trail))
			return
		}
		for next := at + step; next != to+step; next += step {
			if g.edge(at, next) != nil {
				walk(append(trail, next))
			}
		}
	}
	walk([]int{from})
	return all
}

func (g *graph) others(a, b int) (list []*Manifest) {
	for i, v := range g.all {
		if i != a && i != b {
			list = append(list, v.Manifest)
		}
	}
	g.rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// best is the shortest way; of several the one that comes nearest to the end first.
func best(ways [][]int, to int) (way []int) {
	for _, w := range ways {
		if way == nil || len(w) < len(way) || (len(w) == len(way) && nearer(w, way, to)) {
			way = w
		}
	}
	return way
}

func nearer(a, b []int, to int) bool {
	for i := range a {
		if a[i] != b[i] {
			return max(a[i]-to, to-a[i]) < max(b[i]-to, to-b[i])
		}
	}
	return false
}

// Over any graph of versions: a way is found if and only if there is one, no other is shorter, and the whole is what its
// hops are one after another.
func TestPathsOfRandomGraphs(t *testing.T) {
	found, lost, long := 0, 0, 0
	for seed := range uint64(400) {
		g := newGraph(t, seed)
		from, to := g.rand.IntN(len(g.all)), g.rand.IntN(len(g.all))
		if from == to {
			continue
		}
		want := best(g.ways(from, to), to)
		r, err := Compile(g.all[from], g.all[to], g.others(from, to)...)
		if (err == nil) != (want != nil) {
			t.Fatalf("seed %d: from %d to %d: %v, want %v", seed, from, to, err, want)
		}
		if want == nil {
			lost++
			continue
		}
		found++
		if len(want) > 2 {
			long++
		}
		g.compare(seed, r, want)
	}
	if found < 50 || lost < 50 || long < 30 {
		t.Errorf("%d ways found, %d of them long, %d not: the graphs say too little", found, long, lost)
	}
}

// compare holds a relup against the appups that it is made of.
func (g *graph) compare(seed uint64, r *Relup, way []int) {
	var path []string
	var probation time.Duration
	do, irreversible := Load, false
	for i, at := range way {
		path = append(path, g.all[at].Manifest.Version)
		if i == 0 {
			continue
		}
		h := g.edge(way[i-1], at)
		probation, irreversible = max(probation, h.Probation), irreversible || h.Irreversible
		if h.Do == DoRestart || (h.Do == Update && do == Load) {
			do = h.Do
		}
	}
	if !slices.Equal(r.Path, path) || r.Probation != probation || r.Irreversible != irreversible || r.Do != do {
		g.t.Errorf("seed %d: got %+v, want %v %s %s %v", seed, r, path, do, probation, irreversible)
	}
}

func chainOf(t *testing.T, more ...string) []Version {
	t.Helper()
	list := []Version{version(t, "1.0.0", "", table(1, shape1))}
	for n := 1; n <= 3; n++ {
		text := fmt.Sprintf("[[up]]\nfrom = \"~1.%d\"\n[[down]]\nto = \"~1.%d\"\n", n-1, n-1)
		if n <= len(more) {
			text = more[n-1] + text
		}
		list = append(list, version(t, fmt.Sprintf("1.%d.0", n), text, table(1, shape1)))
	}
	return list
}

func manifestsOf(list []Version) (ms []*Manifest) {
	for _, v := range list {
		ms = append(ms, v.Manifest)
	}
	return ms
}

func TestPathGoesThroughOtherVersions(t *testing.T) {
	v := chainOf(t)
	up, err := Compile(v[0], v[3], manifestsOf(v)...)
	if err != nil || strings.Join(up.Path, " ") != "1.0.0 1.1.0 1.2.0 1.3.0" {
		t.Errorf("%+v, %v", up, err)
	}
	down, err := Compile(v[3], v[0], manifestsOf(v[1:3])...)
	if err != nil || strings.Join(down.Path, " ") != "1.3.0 1.2.0 1.1.0 1.0.0" || !down.Down {
		t.Errorf("%+v, %v", down, err)
	}
	_, err = Compile(v[0], v[3], v[1].Manifest)
	const want = "visits: no way up from 1.0.0 to 1.3.0: 1.3.0 knows the way from ~1.2, and none leads there through 1.1.0"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	tried := version(t, "1.2.0-rc1", "[[up]]\nfrom = \"~1.1\"\n")
	if _, err = Compile(v[0], v[3], v[1].Manifest, tried.Manifest); err == nil {
		t.Error("the way leads through a prerelease")
	}
	stranger := version(t, "1.2.0", "[[up]]\nfrom = \"*\"\n")
	stranger.Manifest.Name = "cache"
	if _, err = Compile(v[0], v[3], v[1].Manifest, stranger.Manifest); err == nil {
		t.Error("the way leads through another service")
	}
}

// The last binary converts everything: it must know every Step on the way.
func TestPathNeedsEveryStep(t *testing.T) {
	v := chainOf(t)
	v[3].Describe.Tables = v[3].Describe.Tables[:0]
	_, err := Compile(v[0], v[3], manifestsOf(v)...)
	var dropped *DroppedError
	if !errors.As(err, &dropped) {
		t.Errorf("a table is gone: %v", err)
	}
	v = chainOf(t)
	newest := table(3, shape2)
	newest.Steps = nil
	v[3].Describe.Tables[0] = newest
	_, err = Compile(v[0], v[3], manifestsOf(v)...)
	var open *UncoveredError
	if !errors.As(err, &open) || !strings.Contains(open.Error(), "no Step leads there") {
		t.Errorf("a Step is missing: %v", err)
	}
}

// What a version on the way gives up may be gone at its end, but not be there again.
func TestPathUnitesWhatIsDropped(t *testing.T) {
	v := chainOf(t, "", "drop = [\"visits\"]\n")
	v[2].Describe.Tables, v[3].Describe.Tables = nil, nil
	r, err := Compile(v[0], v[3], manifestsOf(v)...)
	if err != nil || len(r.Tables) != 1 || r.Tables[0].Kind != Dropped {
		t.Errorf("%+v, %v", r, err)
	}
	v = chainOf(t, "", "drop = [\"visits\"]\n")
	_, err = Compile(v[0], v[3], manifestsOf(v)...)
	var open *UncoveredError
	if !errors.As(err, &open) || !strings.Contains(open.Reason, "version 1.2.0 gives it up, and it is there again") ||
		!strings.Contains(open.Hint, "two upgrades, with a release of 1.2.0") {
		t.Errorf("%v", err)
	}
}
