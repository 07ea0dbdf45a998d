# make help lists everything. Every target works on a fresh Debian or Ubuntu machine that has only a Swift 6 toolchain.

SWIFT ?= swift
PREFIX ?= /usr/local
CHECKED := --explicit-target-dependency-import-check error
# A Kafka distribution beside the repository is used by the tests when nothing else is named.
KAFKA_HOME ?= $(abspath $(wildcard ../shared/kafka))
ifneq ($(KAFKA_HOME),)
export KAFKA_HOME
endif
# The whole of the real data, where it is; else the tests take the cut in Examples/data.
VARVE_DEBIAN_DATA ?= $(abspath $(wildcard ../shared/data))
ifneq ($(VARVE_DEBIAN_DATA),)
export VARVE_DEBIAN_DATA
endif

# The same for the documents of the benchmarks; without them those of Examples/data are repeated.
VARVE_BENCH_DATA ?= $(wildcard ../shared/data/debian-packages.ndjson.gz)
ifneq ($(VARVE_BENCH_DATA),)
export VARVE_BENCH_DATA
endif

# What makes the base images of the containers where no registry is reachable, from what the machine has; else they are fetched.
VARVE_BASE_IMAGES ?= $(abspath $(wildcard ../shared/docker/prepare-base-images))
ifneq ($(VARVE_BASE_IMAGES),)
export VARVE_BASE_IMAGES
# The jars are enough, and do not depend on what became of the distribution's links.
KAFKA_DIST ?= $(KAFKA_HOME)/libs
export KAFKA_DIST
endif

.DEFAULT_GOAL := help
.PHONY: help build debug test test-compose test-crash test-drills demo bench bench-load bench-log bench-index bench-migrate fuzz lint format install \
    clean setup docs simulate planted-bugs

help: ## What can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install the C libraries that are missing (as root or by sudo -n), or print the line that does
	@Scripts/setup

build: setup ## The program, optimised: .build/release/varve
	$(SWIFT) build -c release --product varve $(CHECKED)

test: setup ## Every test that this machine can run; ends with what was skipped and why
	@Scripts/test

test-compose: ## The cluster of docker-compose.yml for real; skipped, with its reason, without a container engine
	@Scripts/test-compose

test-drills: build ## Every drill on the embedded broker, and on a real Kafka where one is found
	@Scripts/test-drills

test-crash: setup ## Nodes killed and paused at random for ten minutes (VARVE_CRASH_MINUTES, VARVE_CRASH_SEED)
	@VARVE_CRASH_MINUTES="$${VARVE_CRASH_MINUTES:-10}" Scripts/test --filter 'ClusterTests\.CrashTests'

demo: build ## Three nodes, one log, one directory: watch them agree (KEEP=1 leaves them running)
	@Examples/demo/run

simulate: ## As many simulated clusters as ten minutes hold (SIMULATION_MINUTES or SIMULATION_SEEDS)
	$(SWIFT) build -c release --product varve-simulate $(CHECKED)
	.build/release/varve-simulate --events 20000 --jobs $$(getconf _NPROCESSORS_ONLN) \
	    $(if $(SIMULATION_SEEDS),--seeds $(SIMULATION_SEEDS),--minutes $(or $(SIMULATION_MINUTES),10))

planted-bugs: ## Each bug of Tests/PlantedBugs, and the seed at which the simulator finds it
	@Scripts/planted-bugs

bench: bench-load bench-log bench-index bench-migrate ## Every benchmark; results in .build/bench

bench-load: build ## Loading, transactions, restart, memory: .build/bench/load.json
	$(SWIFT) build -c release --product varve-bench $(CHECKED)
	VARVE_BENCH_COMMIT="$$(git rev-parse --short HEAD 2>/dev/null)" .build/release/varve-bench load

bench-log: build ## Appends and reads of every log against C: .build/bench/log.json (SECONDS=600 for ten minutes of memory)
	$(SWIFT) build -c release --product varve-bench $(CHECKED)
	VARVE_BENCH_COMMIT="$$(git rev-parse --short HEAD 2>/dev/null)" .build/release/varve-bench log --seconds $(or $(SECONDS),60)

bench-index: build ## Applying, blocks, restarts, memory: .build/bench/index.json (SECONDS=600 for ten minutes of memory)
	$(SWIFT) build -c release --product varve-bench $(CHECKED)
	VARVE_BENCH_COMMIT="$$(git rev-parse --short HEAD 2>/dev/null)" .build/release/varve-bench index --seconds $(or $(SECONDS),60)

bench-migrate: build ## The log moved 20 times under load, and a bump with salvage: .build/bench/migrate.json, and its timeline
	$(SWIFT) build -c release --product varve-bench $(CHECKED)
	VARVE_BENCH_COMMIT="$$(git rev-parse --short HEAD 2>/dev/null)" .build/release/varve-bench migrate \
	    --image $(or $(IMAGE),docs/images/migrations.svg)

FUZZ_INPUTS ?= 10000000
FUZZ_SEED ?= 1

fuzz: setup ## Ten million changed inputs for every decoder (FUZZ_INPUTS, FUZZ_SEED): nothing may trap
	$(SWIFT) build -c release --product varve-fuzz $(CHECKED)
	.build/release/varve-fuzz --list | xargs -P "$$(getconf _NPROCESSORS_ONLN)" -I NAME \
	    .build/release/varve-fuzz NAME --inputs $(FUZZ_INPUTS) --seed $(FUZZ_SEED)

lint: ## Formatting, imports, and the shape of the tree
	$(SWIFT) format lint --strict --recursive --configuration .swift-format Sources Tests Benchmarks Package.swift
	@Scripts/tidy

format: ## Rewrite every Swift file in the house style
	$(SWIFT) format --in-place --recursive --configuration .swift-format Sources Tests Benchmarks Package.swift

install: build ## Program and shell completion under PREFIX (default /usr/local)
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
	    $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 755 .build/release/varve $(DESTDIR)$(PREFIX)/bin/varve
	.build/release/varve --generate-completion-script bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/varve
	.build/release/varve --generate-completion-script zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_varve
	.build/release/varve --generate-completion-script fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/varve.fish

clean: ## Everything that was built
	rm -rf .build
