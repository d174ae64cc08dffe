# Every developer command. `make` alone lists them.
.DEFAULT_GOAL := help
PYTHON := venv/bin/python
CRATE := passivbot-rust
SHARED := ../shared
ARGS :=

.PHONY: help setup build check fix test golden hammer kills docs bench criterion

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: ## environment with everything that tests and lints need
	./passivbot setup --dev

build: ## the extension, into the environment
	cd $(CRATE) && ../venv/bin/maturin develop --release

check: ## every lint: ruff, mypy, stubtest, cargo fmt, clippy
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	MYPYPATH=$(CRATE) $(PYTHON) -m mypy.stubtest passivbot_rust --allowlist tests/architecture/stubtest_allowlist.txt
	cd $(CRATE) && cargo fmt --check
	cd $(CRATE) && cargo clippy --quiet --all-targets --no-default-features -- -D warnings
	cd $(CRATE) && cargo clippy --quiet -- -D warnings

fix: ## what the lints can mend themselves
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .
	cd $(CRATE) && cargo fmt

test: ## all tests, Python and Rust
	./passivbot test

golden: ## the engine against the golden data beside the checkout
	$(PYTHON) $(SHARED)/golden/check_engine.py all $(SHARED)/golden

hammer: ## one candle cache under several processes, some of them killed; ARGS="--seconds 600 --seed 3"
	$(PYTHON) tests/soak/cache_hammer.py $(ARGS)

kills: ## runs of the optimizer, killed at random moments and resumed, against an undisturbed one; ARGS="--rounds 10 --seeds 3"
	$(PYTHON) tests/soak/optimizer_kills.py $(ARGS)

docs: ## the tables of docs/configuration.md, from the schema
	cd src && ../$(PYTHON) -m config.doc

bench: ## every speed and memory figure of docs/performance.md; ARGS=--quick to try it out
	./passivbot tool bench $(ARGS)

criterion: ## timings of the crate alone (engine, planner, orders), compared with those of the last time
	cd $(CRATE) && cargo bench --no-default-features
