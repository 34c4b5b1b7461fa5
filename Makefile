# Theseus. `make` lists what there is to make; `make run` and `make test` are all that a newcomer needs.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

# What may be set: make run DIR=/some/dir, make fuzz FUZZ=1000000, make bench BENCH=Pause ...
DIR   ?= $(CURDIR)# the instance that `run` starts
P     ?= 2#          packages that are built and tested at once
FUZZ  ?= 20000#      inputs for each fuzz target
BENCH ?= .#          benchmarks, as a regular expression
COUNT ?= 1#          runs of each benchmark; benchstat wants 10
ROWS  ?= 1000 100000 1000000# sizes of the state that `otp` measures
REPS  ?= 5#          upgrades and downgrades at each of these sizes
SEED  ?= #           of the crash matrix: order, sample and waits; by chance if empty
CASES ?= #           of the crash matrix: a sample of so many; all (make crash) or the test's own number if empty
CASE  ?= #           of the crash matrix: this one alone

export GOFLAGS     := $(strip $(GOFLAGS) -p=$(P) -buildvcs=false)
export CGO_ENABLED ?= 0

BINARIES := theseusd reltool theseus
COMMANDS := breaker cache chatctl faultlab ratelimit visits# links to theseus, one for each service's command
WIRES    := sdk/wire plugins/breaker/api# protocols with generated code
TOOL     := go tool -modfile=$(CURDIR)/tools.mod
# Peers are no requirements of this module.
THROTTLED := github.com/throttled/throttled/v2@v2.15.0 github.com/throttled/throttled/v2/store/memstore@v2.15.0
CENTRIFUGE := github.com/centrifugal/centrifuge@v0.40.1
STARTED  := $(shell date +%s)

# Tests of packages in one process; the house rules and what drives the built binaries come by themselves.
PACKAGES = $$(go list ./... | grep -v -e '/theseusd/theseus$$' -e '/daemon/e2e$$' -e '/upgrades/fault/crash$$')
say      = printf '\n== %s  %s\n' "$$(date +%T)" "$(1)"

# Benchmarks of a package with a peer, whose file lies in testdata: package, file, modules. Flags of `go test` follow.
define beside
tmp=$$(mktemp -d)
trap 'rm -rf "$$tmp"' EXIT
cp go.mod "$$tmp/peer.mod"
cp go.sum "$$tmp/peer.sum"
go get -modfile="$$tmp/peer.mod" $(3)
echo '{"Replace": {"$(CURDIR)/$(1)/$(2).go": "$(CURDIR)/$(1)/testdata/$(2).txt"}}' >"$$tmp/overlay.json"
go test -mod=mod -modfile="$$tmp/peer.mod" -overlay="$$tmp/overlay.json" -run='^$$' ./$(1)
endef

.PHONY: help run build test setup check format-check lint wire-check house unit race e2e crash crash-sample fuzz bench drill otp beam cover generate format clean

help: ## List the targets
	@printf 'make TARGET, where TARGET is\n\n'
	awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	printf '\nFirst time here: make run\n'

run: build ## Build all, start theseusd with every service in the foreground (DIR=/some/dir, default this checkout)
	@dir=$$(realpath -m -- '$(DIR)')
	if [[ -e $$dir/.theseus/journal ]]; then
		bin/reltool init "$$dir" >/dev/null
	else
		bin/reltool init "$$dir"
		bin/reltool build --dir "$$dir" --out "$$dir/releases" visits@1.0.0 breaker cache chat faultlab ratelimit
	fi
	exec bin/theseusd --dir "$$dir"

build: ## Build theseusd, reltool and the services' commands into bin/
	@go build -o bin/ $(BINARIES:%=./daemon/cmd/%)
	for name in $(COMMANDS); do ln -sfn theseus "bin/$$name"; done

test: setup check unit e2e crash-sample fuzz ## Run everything that CI runs
	@printf '\n== %s  test: all passed in %d s\n' "$$(date +%T)" $$(($$(date +%s) - $(STARTED)))
	$(MAKE) missing

check: format-check lint wire-check house race ## Run before every commit: format, lint, wire, house rules, races

unit: build ## Run the tests of every package
	@$(call say,tests of every package)
	go test -timeout=10m $(PACKAGES)

e2e: build ## Run the scripts that drive the real binaries
	@$(call say,end to end: scripts that drive the real binaries)
	go test -timeout=10m -count=1 ./daemon/e2e

crash: ## Kill and stop processes at every instant of an upgrade (SEED=, CASES=, CASE='...' repeat)
	@go build -o bin/crash ./upgrades/fault/crash
	bin/crash $(if $(SEED),-seed $(SEED)) $(if $(CASES),-cases $(CASES)) $(if $(CASE),-case '$(CASE)')

crash-sample:
	@$(call say,a sample of the crash matrix)
	SEED='$(SEED)' CASES='$(CASES)' go test -timeout=10m -count=1 ./upgrades/fault/crash

race: ## Run the short tests under the race detector
	@$(call say,short tests under the race detector)
	if ! command -v "$${CC:-gcc}" >/dev/null; then
		echo '!! SKIPPED: the race detector needs a C compiler'
		exit 0
	fi
	CGO_ENABLED=1 go test -race -short -timeout=10m $(PACKAGES)

fuzz: ## Run every fuzz target with FUZZ inputs
	@grep -rPo --include='*_test.go' '^func \KFuzz\w*(?=\()' sdk plugins upgrades daemon | sort |
	while IFS=: read -r file name; do
		$(call say,fuzz $$name in $$file)
		go test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZ)x -parallel=$(P) "./$${file%/*}" </dev/null
	done

drill: build ## Show it: load, upgrade, verify, roll back, verify; prints the pauses
	@bin/reltool drill

otp: build ## The pause beside Erlang/OTP's release_handler, in one run (needs erlang-nox)
	@$(call say,Erlang/OTP: release_handler)
	upgrades/drill/otp/run.sh '$(ROWS)' '$(REPS)'
	$(call say,Theseus: reltool drill)
	rows='$(ROWS)'
	bin/reltool drill --only pause --rows "$${rows// /,}" --reps '$(REPS)'

beam: ## Processes and tables beside Erlang's, in one run (needs erlang-base)
	@go test -run='^$$' -bench=BesideBEAM -benchtime=1x -timeout=30m ./sdk/otp

limits: ## A check of ratelimit beside one of throttled, in one run
	@$(call beside,plugins/ratelimit,peer_test,$(THROTTLED)) -bench=Check -benchmem -count='$(COUNT)'

centrifuge: ## A connection and a delivery of the chat beside those of the library centrifuge, in one run
	@$(call beside,plugins/chat,centrifuge_test,$(CENTRIFUGE)) -bench=Capacity -benchtime=1x -timeout=30m -count='$(COUNT)'

bench: ## Run the benchmarks (BENCH=regexp, COUNT=10 for benchstat)
	@go test -run='^$$' -bench='$(BENCH)' -benchmem -count=$(COUNT) -timeout=60m $(PACKAGES)

cover: ## Measure what the tests reach, into coverage.out
	@go test -short -coverprofile=coverage.out $(PACKAGES)
	go tool cover -func=coverage.out | tail -n 1

generate: ## Generate code anew
	@go generate ./...

format: ## Format the code
	@$(TOOL) gofumpt -w .

clean: ## Remove what was built; the instance in .theseus stays
	@rm -rf bin coverage.out

format-check:
	@$(call say,format: gofumpt)
	wrong=$$($(TOOL) gofumpt -l .)
	if [[ -n $$wrong ]]; then
		printf 'not formatted (make format):\n%s\n' "$$wrong"
		exit 1
	fi

lint:
	@$(call say,lint: go vet and staticcheck)
	go vet ./...
	$(TOOL) staticcheck ./...

# Generated code is made again elsewhere and compared; the protocols are compared with the main branch, or on that
# branch with the commit before.
wire-check:
	@$(call say,wire: generated code and compatibility)
	tmp=$$(mktemp -d)
	trap 'rm -rf "$$tmp"' EXIT
	head=$$(git rev-parse -q --verify HEAD 2>/dev/null || true)
	base=$$(git merge-base HEAD origin/main 2>/dev/null || git merge-base HEAD main 2>/dev/null || true)
	if [[ $$base == "$$head" ]]; then
		base=$$(git rev-parse -q --verify HEAD~1 2>/dev/null || echo "$$head")
	fi
	for wire in $(WIRES); do
		cd '$(CURDIR)'/$$wire
		$(TOOL) buf lint
		$(TOOL) buf generate -o "$$tmp/$$wire/new"
		for file in *.pb.go; do
			diff -u <($(TOOL) gofumpt "$$file") <($(TOOL) gofumpt "$$tmp/$$wire/new/$$file") || { echo "not in sync with $$wire (make generate)"; exit 1; }
		done
		if [[ -z $$base ]] || ! git cat-file -e "$$base:$$wire/buf.yaml" 2>/dev/null; then
			echo "no earlier protocol of $$wire to compare with"
			continue
		fi
		mkdir -p "$$tmp/$$wire/old"
		git -C '$(CURDIR)' archive "$$base:$$wire" | tar -x -C "$$tmp/$$wire/old"
		$(TOOL) buf breaking --against "$$tmp/$$wire/old"
	done

house:
	@$(call say,house rules)
	go test -count=1 .

# What the tests want besides Go: command, Debian packages, and what is skipped without it.
define NEEDS
redis-cli|redis-tools|scripts that drive redis-cli
redis-benchmark|redis-tools|the check that redis-benchmark works with the cache, and the figures beside Redis
redis-server|redis-server|the comparison of the cache with Redis itself
node|nodejs|the check that ioredis works with the cache
npm|npm|the check that ioredis works with the cache
curl|curl|scripts that drive curl
chromium|chromium|the page of the chat in a browser
minisign|minisign|the check that minisign understands our signatures
gcc|gcc libc6-dev|the race detector
pgrep|procps|the check that no worker of the fault laboratory is left
git|git|comparison of the wire protocol with the main branch
node|nodejs|the chat's test with the official Centrifuge client
npm|npm|the chat's test with the official Centrifuge client
endef
export NEEDS

setup: ## Install what the tests want besides Go (on Debian, as root)
	@packages=$$(while IFS='|' read -r name packages _; do command -v "$$name" >/dev/null || echo "$$packages"; done <<<"$$NEEDS")
	if [[ -n $$packages && $$(id -u) == 0 ]] && command -v apt-get >/dev/null; then
		$(call say,set-up: apt-get install) $$packages
		export DEBIAN_FRONTEND=noninteractive
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends $$packages; } </dev/null || echo '!! apt-get failed'
	fi
	$(MAKE) missing

.PHONY: missing
missing:
	@while IFS='|' read -r name _ what; do
		command -v "$$name" >/dev/null || printf '!! SKIPPED, as there is no %s here: %s\n' "$$name" "$$what"
	done <<<"$$NEEDS"
