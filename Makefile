# Mainstay. `make` alone lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TARGETS ?=
CONFIG ?=
DATA ?=
LISTEN ?=
PORT ?=
RESET ?=
# The folder of tests/ that `make test` runs; empty: all.
CAP ?=
# Files of tests run side by side, each process with its own folder and database.
PARALLEL ?= -n 2 --dist loadfile --no-loadscope-reorder
# What the container image has beyond a plain install.
IMAGE_EXTRAS := clickhouse host mail postgres s3
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Python keeps what it compiled, whatever the environment says: each process of the tests would compile all of them.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help
help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.run: requirements/run.lock pyproject.toml
	@PYTHON=$(PYTHON) tools/environment.sh $(VENV) requirements/run.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml
	@PYTHON=$(PYTHON) tools/environment.sh $(VENV) requirements/dev.lock
	@touch $@ $(VENV)/.run

.PHONY: setup
setup: $(VENV)/.run ## make .venv from the hashed locks; the command is .venv/bin/mainstay

.PHONY: run
run: setup ## start it: make run TARGETS="https://a.example" CONFIG=file.yaml LISTEN=127.0.0.1:8800 DATA=folder
	@exec $(BIN)/mainstay up $(TARGETS) $(if $(CONFIG),--config $(CONFIG)) $(if $(DATA),--data $(DATA)) $(if $(LISTEN),--listen $(LISTEN))

.PHONY: demo
demo: $(VENV)/.dev ## a made-up estate with Mainstay beside it, to try: make demo RESET=1 PORT=9900 DATA=folder
	@exec $(BIN)/python -m demo $(if $(DATA),--data $(DATA)) up $(if $(PORT),--port $(PORT)) $(if $(RESET),--reset)

.PHONY: check
check: $(VENV)/.dev ## style, types, layers, migrations in step
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -r src/mainstay -c pyproject.toml
	$(BIN)/python tools/migrations_in_step.py
	$(BIN)/python tools/reference.py --check

.PHONY: test
test: $(VENV)/.dev ## every test, on SQLite and then what touches the store on PostgreSQL; of one capability: CAP=watch
	@tools/test_machine.sh
	@$(BIN)/python -m compileall -q src  # tests start hundreds of processes, of which each would compile it
	tools/in_memory.sh $(BIN)/pytest $(PARALLEL) tests/$(CAP)
	MAINSTAY_TEST_DATABASE=postgres tools/in_memory.sh $(BIN)/pytest $(PARALLEL) tests/$(CAP) || [ $$? = 5 ]  # 5: none of these asks a store

.PHONY: chaos
chaos: $(VENV)/.dev ## the tests of tests/chaos, longer
	CHAOS_ROUNDS=200 $(BIN)/pytest tests/chaos --timeout 3600

.PHONY: fuzz
fuzz: $(VENV)/.dev ## every parser of outside input and the API, for FUZZ_SECONDS (default 600)
	$(BIN)/python -m tests.fuzz.fuzzing
	FUZZ_EXAMPLES=300 $(BIN)/pytest tests/runtime/test_api_fuzz.py --timeout 3600

.PHONY: audit
audit: $(VENV)/.dev ## known vulnerabilities of what the locks name (asks the network)
	$(BIN)/pip-audit --requirement requirements/run.lock --require-hashes --disable-pip

.PHONY: bench
bench: $(VENV)/.dev ## measure against the figures of docs/reference/performance.md
	@tools/test_machine.sh
	$(BIN)/python -m bench

.PHONY: docs
docs: $(VENV)/.dev ## write the reference pages that are made from the code
	$(BIN)/python tools/reference.py

.PHONY: format
format: $(VENV)/.dev ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: lock
lock: ## make the hashed requirement locks anew (needs uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header -q pyproject.toml --extra postgres --group build -o requirements/run.lock
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header -q pyproject.toml $(IMAGE_EXTRAS:%=--extra %) --group build -c requirements/run.lock -o requirements/image.lock
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header -q pyproject.toml --all-extras --group build --group dev -o requirements/dev.lock
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header -q --python-version 3.11 requirements/healthchecks-client.in -o requirements/healthchecks-client.lock

.PHONY: clean
clean: ## remove what was made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
