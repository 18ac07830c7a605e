# Two commands for everyone: `make run` and `make test`. `make help` lists the others.
#
# One profile, one set of features, one target directory. Most of a build from nothing is RocksDB's C++, some
# ten minutes on two cores. cargo compiles it once for each combination of profile and features that it is asked
# for. So every command here says `--release --workspace`: build, test, clippy, doc and bench share one archive
# of RocksDB (release has overflow checks on, so tests lose nothing by it). `build` includes the examples
# because that makes cargo resolve features as for tests; without it some crates would be compiled twice.
# cargo uses as many jobs as there are cores by itself.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# CI works in a fresh clone each time: its artefacts stay outside of it, and its lock file stays as it is.
ifeq ($(CI),true)
CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/steadfast/target
LOCKED := --locked
else
CARGO_TARGET_DIR ?= $(CURDIR)/target
LOCKED :=
endif
export CARGO_TARGET_DIR

SCOPE := --release --workspace $(LOCKED)

.PHONY: help prerequisites build run test check fmt fmt-check readme-check clippy doc deny deb unit crash sim fuzz proof bench scale-50 soak microbench flamegraph clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

prerequisites: ## Check for compiler and libclang; install them where that takes no questions
	@bash scripts/prerequisites.sh

build: prerequisites ## Build everything
	cargo build $(SCOPE) --bins --examples

run: build ## Start a node on a sample in run/, and say what to try
	@exec bash scripts/run-sample.sh "$(CARGO_TARGET_DIR)/release/steadfast"

test: prerequisites ## Run all tests and examples
	@bash scripts/test.sh $(LOCKED)

check: fmt-check readme-check clippy doc ## Format, lints, documentation: what CI asks for beside tests and `deny`

fmt: ## Format the sources
	cargo fmt --all

fmt-check:
	cargo fmt --all --check

readme-check:
	@bash scripts/check-readme.sh

clippy: prerequisites
	cargo clippy $(SCOPE) --all-targets -- -D warnings

doc: prerequisites ## Build the documentation; a warning is an error
	RUSTDOCFLAGS="-D warnings" cargo doc $(SCOPE) --no-deps

deny: ## Judge dependencies by deny.toml
	@bash scripts/deny.sh

unit: ## Have systemd judge the unit in packaging/
	@bash scripts/unit.sh

deb: prerequisites ## Make the Debian package, and look at it
	@bash scripts/deb.sh

crash: prerequisites ## The long form of the crash tests (much more than a minute)
	STEADFAST_TEST_SCALE=long cargo test $(SCOPE) --no-fail-fast --test '*' -- --nocapture

# Seeds that `make sim` plays, and the first of them.
SEEDS ?= 100000
FROM ?= 0
# It ends after so many seconds, whatever is left.
SIM_SECONDS ?= 3600

sim: build ## Play SEEDS (100000) seeds of the simulation, from FROM
	"$(CARGO_TARGET_DIR)/release/steadfast-sim" $(SEEDS) $(FROM) $(SIM_SECONDS)

# How long `make fuzz` stays with each decoder.
FUZZ_SECONDS ?= 60

fuzz: build ## Fuzz every decoder for FUZZ_SECONDS (60) each, with libFuzzer; TARGETS names some
	@bash scripts/fuzz.sh $(FUZZ_SECONDS) $(TARGETS)

proof: build ## Try every claim thousands of times; goes on where it stopped (hours)
	@bash scripts/proof.sh $(CLAIMS)

# Hours that `make soak` lasts, and where its plot goes.
HOURS ?= 1
SOAK_PLOTS ?= $(CARGO_TARGET_DIR)/soak
# For instance BENCH_FLAGS='--runs 9': without --quick and with more runs, for hours.
BENCH_FLAGS ?= --quick

bench: build ## Measure everything, into docs/benchmarks.md; STEADFAST_BENCH_DIR names the directory to measure in
	@bash scripts/bench.sh $(BENCH_FLAGS)

scale-50: build ## Measure with 50 GB on the disk against 1 GB; it needs their room and a long time
	"$(CARGO_TARGET_DIR)/release/steadfast-bench" scale --gb 50

soak: build ## Ask 2,000 plain commands a second for HOURS (default 1); fails where memory, log or waiting grow
	"$(CARGO_TARGET_DIR)/release/steadfast-bench" soak --hours $(HOURS) --plots "$(SOAK_PLOTS)"

microbench: prerequisites ## Time single steps with criterion
	cargo bench --profile release --workspace $(LOCKED) --bench '*'

flamegraph: build ## Draw where the time of durable commands goes, into docs/flamegraph.svg
	@bash scripts/flamegraph.sh

clean: ## Remove all that was built, RocksDB too, and run/
	cargo clean
	rm -rf run
