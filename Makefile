# Every command sets up what it needs: `make demo` and `make test` work on a fresh checkout.
SHELL   := /bin/bash
VENV    := .venv
PY      := $(VENV)/bin/python
READY   := $(VENV)/.installed
PEOPLE  ?= 2000
TESTS   ?= tests
PYTHON  ?= python3
# Compiled modules make Airflow start in half the time; some machines switch them off for everything.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help setup demo stop test lint check bench docs lock clean

help:    ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv from the hashed lock (done once; the other commands do it by themselves)

demo: $(READY) ## retention, every right, a notice and a drill on real stores, proved; leaves all running [PEOPLE=2000]
	@$(PY) -m include.sandbox.demo --people $(PEOPLE)

stop:    ## end everything that make demo left running
	@if [ -x $(PY) ]; then $(PY) -m include.sandbox.demo --stop; fi

test: lint ## lint, types, import contracts, generated docs and all tests [TESTS=tests/planning]
	@$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder $(TESTS)

lint: $(READY) ## ruff, mypy, import contracts, generated docs
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo
	@$(PY) -m include.tools.dag_docs --check
	@$(PY) -m include.privacy docs --check

check: $(READY) ## validate config/; against the live stores too when AIRFLOW_CONN_… are set (source .sandbox/env)
	@$(PY) -m include.privacy check $$(env | grep -q '^AIRFLOW_CONN_' && echo --live)

bench: $(READY) ## measure the engine against hand-written SQL, boto3 and API loops; prints and stores JSON
	@$(PY) -m include.sandbox.bench

docs: $(READY) ## write the generated pages: docs/DAGS.md, PROMISES.md, REQUESTS.md
	@$(PY) -m include.tools.dag_docs
	@$(PY) -m include.privacy docs

LOCK    := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
           --no-emit-index-url --no-emit-find-links
lock:    ## compile requirements*.in into hashed locks (needs uv)
	@$(LOCK) requirements.in -o requirements.txt
	@$(LOCK) requirements-dev.in -c requirements.txt -o requirements-dev.txt

clean: stop ## stop everything and remove what the commands created, .venv included
	@rm -rf .sandbox $(VENV) .mypy_cache .ruff_cache .import_linter_cache .hypothesis .pytest_cache

# The stamp is written last, so an installation that was interrupted is done again.
$(READY): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; found: $$($(PYTHON) --version 2>&1). Try make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@if command -v uv >/dev/null; then \
	  echo "Installing the locked packages into $(VENV) with uv"; \
	  { [ -x $(PY) ] || uv venv --quiet --python $(PYTHON) $(VENV); } \
	  && uv pip sync --quiet --python $(PY) --require-hashes --compile-bytecode requirements-dev.txt; \
	else \
	  echo "Installing the locked packages into $(VENV) with pip (uv would be faster); this takes minutes"; \
	  { [ -x $(VENV)/bin/pip ] || $(PYTHON) -m venv $(VENV); } \
	  && $(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt; \
	fi
	@touch $(READY)
