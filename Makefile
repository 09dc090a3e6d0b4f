# A thin face: every target is one or two commands, and the work is done by `python -m bindery`.

PYTHON ?= python3
VENV_PYTHON := .venv/bin/python
SETUP := $(PYTHON) bootstrap.py --extras
BOOK := $(VENV_PYTHON) -m bindery
PYTEST := $(VENV_PYTHON) -m pytest -n 2 --dist loadfile
NBVAL := $(PYTEST) --nbval

.DEFAULT_GOAL := help
# The stages of `make test` are in order, and the first that fails ends it, with -j too.
.NOTPARALLEL:
.PHONY: help setup setup-all book test test-code test-pages test-portable check execute paper bench serve claim seeds clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

setup:
	@$(SETUP) book

setup-all:
	@$(SETUP) book,test,dask

book: setup ## set up, execute what is stale, render the site, and say where it is
	@$(BOOK) execute
	@$(BOOK) render

test: check test-code test-pages test-portable ## set up and run every check

check: setup-all ## lint, types, stale pages, the ledger, the environment files (under a minute)
	@$(BOOK) check

test-code: setup-all ## unit, property, documentation, notebook and site tests
	$(PYTEST) --doctest-modules tests gsl_utils bindery benchmarks

test-pages: setup-all ## execute every page again and compare it with what is committed
	$(NBVAL) book

test-portable: setup-all ## the lessons, and one evidence page in turn, in this machine's own arithmetic: the text must not change
	BOOK_ARITHMETIC=own $(NBVAL) $$($(BOOK) turn)

execute: setup ## execute the notebooks whose pages are stale
	@$(BOOK) execute

paper: setup ## one chapter at the papers' scale: make paper CHAPTER=06_gsl_reconstruction, or with REPLAY=1
	@$(BOOK) paper $(CHAPTER) $(if $(REPLAY),--replay)

bench: ## time the solvers beside their peers
	@$(SETUP) book,bench
	@$(VENV_PYTHON) -m benchmarks

serve: setup ## serve the rendered site on this machine
	@$(BOOK) serve

claim: setup ## run the page that decides one claim and print its record: make claim ID=cs-noise
	@$(BOOK) claim $(ID)

seeds: setup ## execute every page with two other seeds, and store and compare the verdicts
	@$(BOOK) seeds

clean: ## remove what is made from the sources; the environment stays (it is .venv)
	rm -rf _build book/_figures dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find gsl_utils bindery tests notebooks book -name __pycache__ -type d -prune -exec rm -rf {} +
