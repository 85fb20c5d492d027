# The commands of this repository. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check conformance soak fuzz kills prerequisites

# A folder of FHIR bundles for the demonstration; without it the demonstration generates its own patients.
DATA ?=
# How long `make fuzz` runs each target.
SECONDS_EACH ?= 60
# How often `make kills` kills the node.
KILLS ?= 100
# Real data that is not part of this repository.
SHARED ?= ../shared/data
TARGET := $(or $(CARGO_TARGET_DIR),target)
BXP := $(TARGET)/debug/bxp

help: ## List the commands
	@echo 'make demo [DATA=FOLDER]  one record'"'"'s way through four validators in three countries'
	@echo 'make test                every test: Rust, then ethers and viem against a running devnet'
	@echo 'make check               formatting, lints, house rules, generated files'
	@echo 'make soak                20,000 simulated networks with everything going wrong that may'
	@echo 'make fuzz [SECONDS_EACH=N]  each decoder against inputs that libFuzzer makes'
	@echo 'make kills [KILLS=N]     a node killed again and again while records come in'
	@echo 'make conformance         what needs real data in SHARED=$(SHARED)'

demo: prerequisites ## One record's way, end to end
	@echo '== build (the first time takes minutes)'
	cargo build --locked --bin bxp
	@cargo run --quiet --locked --bin bxp -- demo $(if $(DATA),--data "$(DATA)")

test: prerequisites ## Every test
	@echo '== build and test the workspace'
	cargo build --locked --bin bxp
	cargo test --locked --workspace
	@echo '== Ethereum clients against a devnet'
	cd tests/clients && { npm ls --silent >/dev/null 2>&1 || npm ci --no-audit --no-fund --loglevel=error; }
	BXP_BIN="$(abspath $(BXP))" node --test --test-reporter=spec tests/clients/clients.test.mjs tests/clients/dev_chain.test.mjs

check: prerequisites ## Formatting, lints, house rules, generated files
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo xtask tidy
	cargo xtask contracts --check
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check; fi

conformance: prerequisites ## What needs real data
	@test -d "$(SHARED)/synthea" || { echo 'error: $(SHARED)/synthea is not there; set SHARED=FOLDER' >&2; exit 1; }
	# The whole workspace is named so that its features stay those of `make test`, and nothing is built twice.
	BXP_SHARED_DATA="$(abspath $(SHARED))" cargo test --locked --workspace --test it conformance -- --nocapture
	@# The store's and the API's cases on PostgreSQL, which the machine's Debian packages bring; skipped in one line without.
	cargo test --locked --workspace --test it -- postgres on_server
	@# Without a JDK and Maven, or without anything to fetch from, HAPI's validator is not asked, and a line says so.
	tests/clients/hapi/install.sh
	node --test --test-reporter=spec tests/clients/hapi/tables.test.mjs
	BXP_DATA="$(abspath $(SHARED))" cargo test --locked --workspace --features bxp-clinical/conformance --test conformance
	cargo build --locked --bin bxp
	"$(BXP)" dev statetest "$(SHARED)/ethereum/statetests"
	"$(BXP)" dev import-chain --genesis "$(SHARED)/ethereum/rpc-compat/genesis.json" "$(SHARED)/ethereum/rpc-compat/chain.rlp"
	"$(BXP)" privacy scan "$(SHARED)/synthea"
	"$(BXP)" dev rpc-compat "$(SHARED)/ethereum/rpc-compat"
	cd tests/clients && { npm ls --silent >/dev/null 2>&1 || npm ci --no-audit --no-fund --loglevel=error; }
	cd tests/clients/slow && { npm ls --silent >/dev/null 2>&1 || npm ci --no-audit --no-fund --loglevel=error; }
	@# Hardhat's own packages install under Node 22 only, which the step before has brought.
	cd tests/clients/slow && PATH="$$PWD/node_modules/node/bin:$$PATH" npm install --no-save --no-audit --no-fund --loglevel=error
	BXP_BIN="$(abspath $(BXP))" node --test --test-reporter=spec tests/clients/slow/foundry.test.mjs tests/clients/slow/hardhat.test.mjs
	@# Without Python, or without a registry to fetch from, web3.py is skipped with a line that says so.
	tests/clients/python/install.sh
	BXP_BIN="$(abspath $(BXP))" node --test --test-reporter=spec tests/clients/python/web3.test.mjs
	@# Without a registry to fetch from, no C-CDA documents of others are taken in, and a line says so.
	tests/clients/ccda/samples.sh
	BXP_BIN="$(abspath $(BXP))" node --test --test-reporter=spec tests/clients/ccda/ccda.test.mjs
	cd tests/clients/ipfs && { npm ls --silent >/dev/null 2>&1 || npm ci --no-audit --no-fund --loglevel=error; }
	@# Kubo takes Go some minutes, once; without Go its tests are skipped.
	tests/clients/ipfs/build_kubo.sh
	BXP_BIN="$(abspath $(BXP))" node --test --test-reporter=spec tests/clients/ipfs/ipfs.test.mjs tests/clients/ipfs/kubo.test.mjs
	$(MAKE) demo DATA="$(SHARED)/synthea"

soak: prerequisites ## 20,000 simulated networks, and six rounds of binary consensus
	BXP_MODEL_ROUNDS=6 cargo test --locked --workspace --lib no_schedule_breaks_agreement_or_validity
	cargo build --locked --bin bxp
	"$(BXP)" sim --validators 4 --seeds 100000..109000 >$(TARGET)/soak-4.txt || { tail -80 $(TARGET)/soak-4.txt; exit 1; }
	"$(BXP)" sim --validators 4 --seeds 400000..405000 --verification sharded >$(TARGET)/soak-4-sharded.txt || { tail -80 $(TARGET)/soak-4-sharded.txt; exit 1; }
	"$(BXP)" sim --validators 7 --seeds 200000..203500 >$(TARGET)/soak-7.txt || { tail -80 $(TARGET)/soak-7.txt; exit 1; }
	"$(BXP)" sim --validators 7 --seeds 500000..501500 --verification sharded >$(TARGET)/soak-7-sharded.txt || { tail -80 $(TARGET)/soak-7-sharded.txt; exit 1; }
	"$(BXP)" sim --validators 10 --seeds 300000..301000 >$(TARGET)/soak-10.txt || { tail -80 $(TARGET)/soak-10.txt; exit 1; }
	@tail -qn 1 $(TARGET)/soak-4.txt $(TARGET)/soak-4-sharded.txt $(TARGET)/soak-7.txt $(TARGET)/soak-7-sharded.txt $(TARGET)/soak-10.txt

fuzz: prerequisites ## Each decoder under libFuzzer
	cargo xtask fuzz $(SECONDS_EACH)

kills: prerequisites ## kill -9 during ingest of transactions and an HL7 v2 feed
	cargo build --locked --bin bxp
	BXP_KILLS=$(KILLS) cargo test --locked -p bxp --test it ingest_kills -- --nocapture

prerequisites:
	@.ci/prerequisites
