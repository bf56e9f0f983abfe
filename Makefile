# Everything a contributor needs. `make` alone lists the targets.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.up-to-date
# Pinned here as well as in pyproject.toml: this one installs the others.
UV_VERSION := 0.13.9
# A company's own certificate authority lives in the system's store; uv looks there only when told.
export UV_SYSTEM_CERTS := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),1,0)

# Only what exists is checked.
SOURCES := $(wildcard events_core adapters/*/events_* brokers tests examples benchmarks)

.PHONY: help setup brokers demo test check bench format lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-8s %s\n", $$1, $$2 }'

setup: $(STAMP) ## create or update the virtual environment in .venv
	@:

$(STAMP): pyproject.toml uv.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test "$$($(BIN)/uv --version 2>/dev/null | cut -d' ' -f2)" = $(UV_VERSION) \
		|| $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv sync --quiet --frozen --all-extras --inexact --python $(BIN)/python
	@touch $@

# What each example starts by itself, and its arguments.
EXAMPLE ?= flight_board
NEEDS_flight_board = $(filter-out memory,$(BROKER))
NEEDS_online_chat = redis
NEEDS_user_registration = rabbitmq postgresql
ARGUMENTS_flight_board = $(if $(BROKER),--broker '$(BROKER)') $(if $(filter-out 0,$(FULL)),--full)

demo: setup ## run an example (EXAMPLE=online_chat or user_registration; flights: BROKER=rabbitmq as processes, FULL=1 a year)
	@# What cannot be installed the example names, or does without.
	@$(if $(NEEDS_$(EXAMPLE)),$(BIN)/python -m brokers install $(NEEDS_$(EXAMPLE)) || true)
	$(BIN)/python -m examples.$(EXAMPLE) $(ARGUMENTS_$(EXAMPLE))

brokers: setup ## install the brokers that tests start, and their browser (as root on Debian; not needed where Docker runs)
	@$(BIN)/python -m brokers install

test: setup ## run every test; the last lines say what ran on which broker
	@# Without a broker its tests are skipped, and the last lines say so, unless brokers are required.
	@$(BIN)/python -m brokers install || test "$${REQUIRE_BROKERS:-0}" = 0
	@# Two at a time: most of them wait for a broker. Each of the two starts brokers of its own. In the order of files, so
	@# that the longest do not come last.
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

check: setup ## formatting, lint, types and layers
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy --strict $(SOURCES)
	$(BIN)/pyright $(SOURCES)
	@# Asks the first Python on the path where the package is.
	for package in events_core events_dishka events_kafka events_rabbitmq events_redis events_sqlalchemy; do \
		PATH="$(CURDIR)/$(BIN):$$PATH" pyright --verifytypes $$package --ignoreexternal || exit 1; \
	done
	$(BIN)/lint-imports

bench: setup ## run the benchmarks
	@for file in $(filter-out %/__init__.py %/measuring.py,$(wildcard benchmarks/*.py)); do \
		$(BIN)/python -m benchmarks.$$(basename $$file .py); \
	done

format: setup ## format the code and fix what can be fixed safely
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

lock: ## resolve the dependencies anew into uv.lock
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv==$(UV_VERSION); }
	$(BIN)/uv lock --upgrade

clean: ## remove the environment, caches and build results
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
