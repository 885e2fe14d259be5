# The front door. Meson and Ninja do the building (meson.build), tools/ holds the scripts; `make help` lists what there is.
# Every target installs what it needs and lacks, and nothing more; what has been found installed once is not looked for
# again until tools/install_packages changes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

BASE ?= $(shell git rev-parse --verify --quiet origin/main >/dev/null && echo origin/main || echo HEAD~1)
PYTHON := .venv/bin/python
# What the API tests speak to weir with besides .venv: packages for Node, and clients that need an environment of their own.
CLIENTS := build-stamps/node .venv-langchain/requirements.stamp .venv-llamaindex/requirements.stamp
export BASE

.PHONY: help build run test test-long test-smoke lint format pr-fast check-new-code-coverage bench fuzz instructions docs clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-24s %s\n", $$1, $$2}' Makefile

build: build-stamps/build ## the release binary, build/weir
	@tools/build_in build -Dbuildtype=release

run: ## install what is missing, build, start the gateway here with a demo key, and print how to try it
	@echo "weir: building; the first time takes a minute or two" >&2
	@$(MAKE) build
	@echo "weir: built; starting the gateway in the foreground (Ctrl-C stops it)" >&2
	@exec build/weir serve --demo

test: build-stamps/build build-stamps/test .venv/requirements.stamp $(CLIENTS) ## install what is missing, build with sanitizers, run every test (the gate)
	@echo "weir: unit tests, checks, counts of instructions, fuzz corpora and API tests, against builds with sanitizers" >&2
	@$(PYTHON) tools/run_tests all

test-long: build-stamps/build build-stamps/test build-stamps/bench .venv/requirements.stamp $(CLIENTS) ## hundreds of kill -9, long fuzzing, valgrind (by hand, before a release)
	@WEIR_KILL_ROUNDS=$${WEIR_KILL_ROUNDS:-500} WEIR_FUZZ_SECONDS=$${WEIR_FUZZ_SECONDS:-600} WEIR_VALGRIND=1 WEIR_LONG=1 \
	  $(PYTHON) tools/run_tests all

test-smoke: build .venv/requirements.stamp ## a handful of API tests against the release binary
	@$(PYTHON) tools/run_tests smoke

lint: build-stamps/build build-stamps/test .venv/requirements.stamp ## every checker, and clang-tidy over all sources
	@$(PYTHON) tools/run_tests checks
	@tools/lint

format: build-stamps/test ## clang-format over all sources
	@tools/format

pr-fast: build-stamps/build build-stamps/test .venv/requirements.stamp ## under three minutes: lint of what changed since BASE, unit tests, smoke
	@tools/lint --changed "$(BASE)"
	@$(PYTHON) tools/run_tests checks unit
	@$(MAKE) test-smoke

check-new-code-coverage: build-stamps/build build-stamps/test .venv/requirements.stamp $(CLIENTS) ## lines added since BASE must be covered to 85 %
	@tools/check_new_code_coverage "$(BASE)"

bench: build-stamps/bench build .venv/requirements.stamp ## weir beside nginx: time, memory, latency; writes docs/performance.md (15 minutes)
	@$(PYTHON) bench/run.py $(BENCH)

fuzz: build-stamps/build build-stamps/test .venv/requirements.stamp ## every fuzz target for WEIR_FUZZ_SECONDS (default 60)
	@WEIR_FUZZ_SECONDS=$${WEIR_FUZZ_SECONDS:-60} $(PYTHON) tools/run_tests fuzz

instructions: build-stamps/build build-stamps/test ## count instructions a request, chunk and refusal anew into tests/instructions.json
	@tools/build_in build-count -Dbuildtype=release -Ddebug=true
	@tools/count_instructions --write

docs: build .venv/requirements.stamp ## write the generated reference pages anew and check all links
	@$(PYTHON) tools/write_reference.py
	@tools/check_docs --write

clean: ## remove everything that was built
	rm -rf build build-asan build-tsan build-fuzz build-lint build-globals build-coverage build-count build-bench build-valgrind build-stamps coverage .venv \
	  .venv-langchain .venv-llamaindex tests/api/node/node_modules

build-stamps/%: tools/install_packages
	@mkdir -p build-stamps
	@tools/install_packages $*
	@touch $@

.venv/requirements.stamp: tests/requirements.txt tools/python_environment | build-stamps/test
	@tools/python_environment
	@touch $@

.venv-%/requirements.stamp: tests/requirements-%.txt tools/python_environment | build-stamps/test
	@tools/python_environment $*
	@touch $@

build-stamps/node: tests/api/node/package-lock.json | build-stamps/test
	@cd tests/api/node && npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@
