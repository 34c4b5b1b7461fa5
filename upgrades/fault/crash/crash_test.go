package main

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"
)

// sample is how many cases `make test` runs; CASES= and SEED= choose others.
const sample = 150

// TestMatrix runs a sample of the matrix with real processes.
func TestMatrix(t *testing.T) {
	if testing.Short() {
		t.Skip("crashes real processes for a minute")
	}
	t.Parallel()
	o := options{
		root: "../../..", seed: number("SEED", uint64(time.Now().UnixNano())%1_000_000), cases: int(number("CASES", sample)),
		jobs: 12, keep: os.TempDir(), out: t.Output(),
	}
	r, err := run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r)
	if r.violations > 0 {
		t.Errorf("%d of %d cases found something; `make crash SEED=%d CASE=...`, as above, shows one again", r.violations, r.cases, o.seed)
	}
}

// TestPlantedBugsCanBePlanted needs no processes: who changes those lines learns of it at once.
func TestPlantedBugsCanBePlanted(t *testing.T) {
	for _, p := range plants {
		if _, err := p.overlay("../../..", t.TempDir()); err != nil {
			t.Error(err)
		}
	}
}

// TestPlantedBugsAreFound is the test of the test.
func TestPlantedBugsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the daemon with bugs and crashes it")
	}
	t.Parallel()
	r := &runner{options: options{root: "../../..", seed: 1, out: t.Output()}}
	found, err := r.plant(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if found != len(plants) {
		t.Errorf("%d of %d planted bugs are found", found, len(plants))
	}
}

func number(env string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(env), 10, 64); err == nil {
		return n
	}
	return otherwise
}
