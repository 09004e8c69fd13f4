# Everything a checkout needs, from a bare machine with Python 3.11 on. What is set up already is not set up again.

PYTHON ?= python3
VENV ?= .venv
PIP := PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/bin/python -m pip
INPUTS := pyproject.toml constraints.txt
FUZZ_SECONDS ?= 600
WORKERS ?= 2

COMPILED := $(VENV)/compiled

# Where no PYTHON is named, what is measured runs on the system's, if a venv can be made of it: it is built with profiles, as those of images
# are. One that was compiled by hand often is not, and needs a third more for what is ours.
BENCH_PYTHON = $(if $(filter file,$(origin PYTHON)),$(SYSTEM_PYTHON),$(PYTHON))
SYSTEM_PYTHON = $(shell /usr/bin/python3 -c 'import ensurepip, os, sys, sysconfig; \
    sys.exit(sys.version_info < (3, 11) or not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' 2>/dev/null \
    && echo /usr/bin/python3 || echo $(PYTHON))

.PHONY: help setup test lint compiled fuzz audit soak demo bench measured bench-fleet image manifests greedy overload clean mutants
.DEFAULT_GOAL := help

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 8

setup: $(VENV)/.for-tests  ## all that the tests need, into .venv, or VENV=... (and Debian packages, where root)

test: setup lint  ## lint, types and all tests
	PYTHONHASHSEED=0 $(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile -m 'not alone and not image'
	$(VENV)/bin/python -m pytest -m alone

lint: setup  ## ruff and mypy
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy

compiled: setup $(COMPILED)/.built  ## the tests of what a wheel has compiled (setup.py), on the compiled modules
	PYTHONPATH=$(COMPILED) $(VENV)/bin/earwitness --version | grep -F '(compiled)'
	$(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile -o pythonpath='$(COMPILED) .' -m 'not interpreted' \
	    tests/core tests/relay/test_splice.py tests/relay/test_fairness.py tests/relay/test_gated.py tests/e2e/test_transparency.py

# Of each property as many examples as there are seconds, which takes about as long: 83 s for 60, with two workers.
fuzz: $(VENV)/.for-fuzz  ## the property tests alone, deeper, then any bytes for each part, guided by coverage (FUZZ_SECONDS=600, for either)
	HYPOTHESIS_PROFILE=deep HYPOTHESIS_EXAMPLES=$(FUZZ_SECONDS) $(VENV)/bin/python -m pytest -n $(WORKERS) -m hypothesis \
	    --timeout=3600 -o faulthandler_timeout=0
	$(VENV)/bin/python -m tests.fuzz all $(FUZZ_SECONDS)

mutants: $(VENV)/.for-mutants  ## small changes to what the core commits, and which of them no test of the core notices
	rm -rf build/mutants && git clone --quiet . build/mutants
	cd build/mutants && $(abspath $(VENV))/bin/mutmut run --max-children 2 && $(abspath $(VENV))/bin/mutmut results

audit: $(VENV)/.for-audit  ## known vulnerabilities of every version that is pinned (asks osv.dev; without the internet it fails)
	@$(VENV)/bin/python -m deploy.audit constraints.txt

soak: setup  ## chaos on both event loops, then healthy calls under the alert rules (SOAK="minutes --loops uvloop")
	$(VENV)/bin/python -m tests.soak $(SOAK)

demo: $(VENV)/.for-use  ## the main job, on simulated vendors
	$(VENV)/bin/earwitness demo

bench:  ## cost beside other relays, in a table (BENCH=--quick for one round)
	tests/bench/setup
	$(MAKE) --no-print-directory measured PYTHON=$(BENCH_PYTHON) VENV=build/bench

measured: setup $(COMPILED)/.built
	$(VENV)/bin/python -m tests.bench $(BENCH)

bench-fleet: setup  ## what a fleet costs a call: a check on loopback, and a dead Redis
	$(VENV)/bin/python -m tests.bench.fleet

image: setup  ## the container image, built and run as a release is but on a base of Debian's packages (root, Debian, minutes)
	tests/apt-install $$(grep -v '^#' tests/image/apt-packages.txt)
	$(VENV)/bin/python -m pytest -m image -o faulthandler_timeout=0

manifests: setup  ## every object for Kubernetes, rendered and checked against the API's schemas
	@$(VENV)/bin/python -m tests.deploy.manifests

greedy: setup $(COMPILED)/.built  ## what one greedy peer takes of memory and of the other calls' time, in a table (GREEDY=names)
	$(VENV)/bin/python -m tests.reliability.greedy $(GREEDY)
	$(VENV)/bin/python -m tests.reliability.page > RELIABILITY.md

overload: setup $(COMPILED)/.built  ## more than a process can carry, beside other relays, in a table (needs root)
	tests/bench/setup
	$(VENV)/bin/python -m tests.reliability.overload
	$(VENV)/bin/python -m tests.reliability.page > RELIABILITY.md

clean:  ## back to the checkout
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find proxy tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(COMPILED)/.built: setup.py $(INPUTS) $(shell find proxy config deploy/prometheus/rules -name '*.py' -o -name '*.yaml' -o -name '*.json') | $(VENV)/.for-use
	rm -rf $(COMPILED)
	EARWITNESS_COMPILE=always $(PIP) install --quiet --no-deps --target $(COMPILED) .
	touch $@

$(VENV)/.for-use: $(INPUTS) | $(VENV)/bin/python
	$(PIP) install --quiet --editable .
	touch $@

$(VENV)/.for-tests: $(INPUTS) tests/apt-packages.txt | $(VENV)/bin/python
	tests/apt-install $$(grep -v '^#' tests/apt-packages.txt)
	$(PIP) install --quiet --editable '.[test]'
	$(PIP) install --quiet --no-deps livekit-plugins-nextevi  # its WebSocket client runs without the framework that it asks for
	touch $(VENV)/.for-use $@

$(VENV)/.for-fuzz: $(VENV)/.for-tests
	$(PIP) install --quiet --editable '.[test,fuzz]'
	touch $@

$(VENV)/.for-mutants: $(VENV)/.for-tests
	$(PIP) install --quiet --editable '.[test,mutants]'
	touch $@

$(VENV)/.for-audit: $(VENV)/.for-use
	$(PIP) install --quiet --editable '.[audit]'
	touch $@
