# Two commands: `make run` and `make test`. Everything else is convenience.
# Paths are resolved where make is called, so PILOTCITY_RAW=../elsewhere works from any folder.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# modules that are compiled anew at each start cost more than most commands do
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
  if $$name -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then echo $$name; break; fi; done)
BIN := .venv/bin
STAMP := .venv/.installed

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "pilotcity needs Python 3.11, 3.12 or 3.13 on the PATH (or: make PYTHON=/path/to/python ...)."; exit 1; }
	@echo "Setting up .venv with $$($(PYTHON) --version), once: this needs the network."
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is missing: install your system's python3-venv package."; exit 1; }
	@$(BIN)/python -m pip install --quiet "$$(sed -n 's/^  "\(uv==[0-9.]*\)",/\1/p' pyproject.toml)"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# Adds to what is there and changes no version of it; setting .venv up anew takes it out again.
SPARK := .venv/.spark

$(SPARK): requirements-spark.lock $(STAMP)
	@echo "Adding Spark to .venv, once: this needs the network (0.4 GB)."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirements requirements-spark.lock
	@touch $@

.PHONY: help setup spark run test ui team sql replicate lint lock check benchmark torture clean

help:
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18

setup: $(STAMP) ## make the environment in .venv

spark: $(SPARK) ## add Apache Spark to .venv, for more records than one machine judges (docs/spark.md)

run: $(STAMP) ## raw files to report; says so when nothing changed
	@$(BIN)/pilotcity run

test: $(STAMP) ## all tests
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder -m "not benchmark and not torture"

ui: $(STAMP) ## Dagster's web page on this project, loopback only
	@$(BIN)/pilotcity ui

team: $(STAMP) ## webserver, daemon and code server with the run history in PostgreSQL, loopback only
	@$(BIN)/pilotcity team

sql: $(STAMP) ## a SQL prompt on the published data
	@$(BIN)/pilotcity sql

replicate: $(STAMP) ## ZIP=file.zip: compute a study again from its zip and compare
	@test -n "$(ZIP)" || { echo "Say which file: make replicate ZIP=data/published/exports/<study>.zip"; exit 1; }
	@$(BIN)/pilotcity replicate "$(ZIP)"

lint: $(STAMP) ## style, types, import rules, SQL
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/sqruff lint dbt/models dbt/checks

benchmark: $(STAMP) ## hot paths as ratios to a peer in the same run
	@$(BIN)/python -m pytest -m benchmark -s tests/benchmarks

.PHONY: coverage
coverage: $(STAMP) ## intervals against known truth on simulated panels, half an hour; writes tests/coverage
	@for part in study spatial designs surface; do \
	  OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python tests/coverage/$$part.py || exit 1; done

.PHONY: atlas
atlas: $(STAMP) ## ugly panels through every engine against known effects; writes docs/atlas.md
	@OMP_NUM_THREADS=1 $(BIN)/python tests/atlas/atlas.py

torture: $(STAMP) ## kill runs at random moments and see what readers see
	@$(BIN)/python -m pytest -m torture -s tests

COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-header --no-annotate
lock: $(STAMP) ## write requirements.lock and requirements-spark.lock anew from pyproject.toml
	@$(COMPILE) --group dev -o requirements.lock
	@$(COMPILE) --extra spark --constraints requirements.lock -o requirements-spark.lock

clean: ## remove the environment and everything generated
	rm -rf .venv data/warehouse data/publications data/published data/reports data/sample data/home data/preview data/postgres dbt/target dbt/logs
