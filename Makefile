# Everything a developer does, on a machine with make, git and Python 3.11, 3.12 or 3.13.

SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
LITELLM := .venv-litellm
PIPECAT := .venv-pipecat
ARGS ?=
# Two workers suit two cores and leave the vendors, databases and browsers of the tests some room.
WORKERS ?= 2

.PHONY: help
help: ## List these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.PHONY: setup
setup: $(READY) ## Make the virtual environment from the lock file

$(READY): requirements-dev.lock
	@python=$$(for name in python3.13 python3.12 python3.11 python3; do \
	    $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	    && echo $$name && break; done) && test -n "$$python" \
	  || { echo 'Python 3.11, 3.12 or 3.13 is needed.' >&2; exit 1; }; \
	test -x $(PYTHON) || $$python -m venv $(VENV)
	@test -x $(VENV)/bin/uv || $(PYTHON) -m pip install --quiet --disable-pip-version-check uv
	$(VENV)/bin/uv pip sync --quiet --python $(PYTHON) --require-hashes requirements-dev.lock
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s" -m gateway "$$@"\n' "$(CURDIR)" "$(CURDIR)/$(PYTHON)" > $(VENV)/bin/turnmeter
	@chmod +x $(VENV)/bin/turnmeter
	@touch $(READY)

.PHONY: demo
demo: setup ## Start everything with simulated carriers, no keys needed
	$(PYTHON) -m gateway demo $(ARGS)

.PHONY: serve
serve: setup ## Start the gateway (settings: .env.example)
	$(PYTHON) -m gateway serve $(ARGS)

.PHONY: format
format: setup ## Format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix-only .

.PHONY: formatted
formatted: setup
	$(VENV)/bin/ruff format --check .

.PHONY: lint
lint: setup ## Look for mistakes
	$(VENV)/bin/ruff check .

.PHONY: types
types: setup ## Check the types
	$(VENV)/bin/mypy

.PHONY: layers
layers: setup ## Check who imports whom
	$(VENV)/bin/lint-imports

.PHONY: test
test: setup ## Run the tests (ARGS='tests/metering -k grant' for some)
	$(VENV)/bin/pytest -n $(WORKERS) --dist loadfile $(ARGS)

.PHONY: check
check: formatted lint types layers test ## Everything that CI runs

.PHONY: lock
lock: setup ## Resolve the dependencies anew; names, versions and hashes, no host
	$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate -p 3.11 \
	  pyproject.toml -o requirements.lock
	$(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate -p 3.11 \
	  pyproject.toml --group test -o requirements-dev.lock

.PHONY: bench
bench: setup ## Measure turns, phone calls, latency and the ledger; prints a table
	$(PYTHON) -m tests.bench $(ARGS)

.PHONY: bench-litellm
bench-litellm: $(LITELLM)/.ready ## Put LiteLLM's proxy with a budget beside it, in an environment of its own
	$(PYTHON) -m tests.bench.bench_litellm $(LITELLM)/bin/litellm

.PHONY: bench-pipecat
bench-pipecat: $(PIPECAT)/.ready ## Put a phone bridge on pipecat beside it, in an environment of its own
	$(PYTHON) -m tests.bench.bench_pipecat $(PIPECAT)/bin/python

.venv-%/.ready: tests/bench/%_peer/requirements.txt | setup
	$(VENV)/bin/uv venv --quiet --allow-existing --python $(PYTHON) $(@D)
	$(VENV)/bin/uv pip install --quiet --python $(@D)/bin/python -r $<
	@touch $@

.PHONY: screenshots
screenshots: setup ## Keep pictures of the pages, in both lights and widths, in screenshots/
	$(PYTHON) -m tests.browser.screenshots $(ARGS)
