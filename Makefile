# Everything a checkout needs, from a bare machine with Python 3.11 on. What is set up already is not set up again.

PYTHON ?= python3
PIP := PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip
INPUTS := pyproject.toml constraints.txt
FUZZ_SECONDS ?= 600
WORKERS ?= 2

COMPILED := build/compiled

.PHONY: help setup test lint compiled fuzz audit soak demo bench bench-fleet image manifests greedy overload clean mutants
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 8

setup: .venv/.for-tests  ## all that the tests need, into .venv (and Debian packages, where root)

test: setup lint  ## lint, types and all tests
	PYTHONHASHSEED=0 .venv/bin/python -m pytest -n $(WORKERS) --dist loadfile -m 'not alone and not image'
	.venv/bin/python -m pytest -m alone

lint: setup  ## ruff and mypy
	.venv/bin/ruff check
	.venv/bin/mypy

compiled: setup $(COMPILED)/.built  ## the tests of what a wheel has compiled (setup.py), on the compiled modules
	PYTHONPATH=$(COMPILED) .venv/bin/earwitness --version | grep -F '(compiled)'
	.venv/bin/python -m pytest -n $(WORKERS) --dist loadfile -o pythonpath='$(COMPILED) .' -m 'not interpreted' \
	    tests/core tests/relay/test_splice.py tests/relay/test_fairness.py tests/relay/test_gated.py tests/e2e/test_transparency.py

# Of each property as many examples as there are seconds, which takes about as long: 83 s for 60, with two workers.
fuzz: .venv/.for-fuzz  ## the property tests alone, deeper, then any bytes for each part, guided by coverage (FUZZ_SECONDS=600, for either)
	HYPOTHESIS_PROFILE=deep HYPOTHESIS_EXAMPLES=$(FUZZ_SECONDS) .venv/bin/python -m pytest -n $(WORKERS) -m hypothesis \
	    --timeout=3600 -o faulthandler_timeout=0
	.venv/bin/python -m tests.fuzz all $(FUZZ_SECONDS)

mutants: .venv/.for-mutants  ## small changes to what the core commits, and which of them no test of the core notices
	rm -rf build/mutants && git clone --quiet . build/mutants
	cd build/mutants && ../../.venv/bin/mutmut run --max-children 2 && ../../.venv/bin/mutmut results

audit: .venv/.for-audit  ## known vulnerabilities of every version that is pinned (asks osv.dev; without the internet it fails)
	@.venv/bin/python -m deploy.audit constraints.txt

soak: setup  ## chaos on both event loops, then healthy calls under the alert rules (SOAK="minutes --loops uvloop")
	.venv/bin/python -m tests.soak $(SOAK)

demo: .venv/.for-use  ## the main job, on simulated vendors
	.venv/bin/earwitness demo

bench: setup $(COMPILED)/.built  ## cost beside other relays, in a table (BENCH=--quick for one round)
	tests/bench/setup
	.venv/bin/python -m tests.bench $(BENCH)

bench-fleet: setup  ## what a fleet costs a call: a check on loopback, and a dead Redis
	.venv/bin/python -m tests.bench.fleet

image: setup  ## the container image, built and run as a release is but on a base of Debian's packages (root, Debian, minutes)
	tests/apt-install $$(grep -v '^#' tests/image/apt-packages.txt)
	.venv/bin/python -m pytest -m image -o faulthandler_timeout=0

manifests: setup  ## every object for Kubernetes, rendered and checked against the API's schemas
	@.venv/bin/python -m tests.deploy.manifests

greedy: setup $(COMPILED)/.built  ## what one greedy peer takes of memory and of the other calls' time, in a table (GREEDY=names)
	.venv/bin/python -m tests.reliability.greedy $(GREEDY)
	.venv/bin/python -m tests.reliability.page > RELIABILITY.md

overload: setup $(COMPILED)/.built  ## more than a process can carry, beside other relays, in a table (needs root)
	tests/bench/setup
	.venv/bin/python -m tests.reliability.overload
	.venv/bin/python -m tests.reliability.page > RELIABILITY.md

clean:  ## back to the checkout
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find proxy tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

$(COMPILED)/.built: setup.py $(INPUTS) $(shell find proxy config deploy/prometheus/rules -name '*.py' -o -name '*.yaml' -o -name '*.json') | .venv/.for-use
	rm -rf $(COMPILED)
	EARWITNESS_COMPILE=always $(PIP) install --quiet --no-deps --target $(COMPILED) .
	touch $@

.venv/.for-use: $(INPUTS) | .venv/bin/python
	$(PIP) install --quiet --editable .
	touch $@

.venv/.for-tests: $(INPUTS) tests/apt-packages.txt | .venv/bin/python
	tests/apt-install $$(grep -v '^#' tests/apt-packages.txt)
	$(PIP) install --quiet --editable '.[test]'
	$(PIP) install --quiet --no-deps livekit-plugins-nextevi  # its WebSocket client runs without the framework that it asks for
	touch .venv/.for-use $@

.venv/.for-fuzz: .venv/.for-tests
	$(PIP) install --quiet --editable '.[test,fuzz]'
	touch $@

.venv/.for-mutants: .venv/.for-tests
	$(PIP) install --quiet --editable '.[test,mutants]'
	touch $@

.venv/.for-audit: .venv/.for-use
	$(PIP) install --quiet --editable '.[audit]'
	touch $@
