# make install   .venv with the dhcpsync command, from hash-locked dependencies
# make demo      three members, real clients, a crash, a fourth member (KEEP=1 leaves it up)
# make test      linters, strict types, every test
# make model     every state of small models of the protocol, with each rule on and off
# make night     new simulated days of groups of 2 to 16, for an hour (BASE=N: those of N again)
# make mutants   take rules out of the code one by one; each must be noticed
# make clean     takes away what the others made

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Folder with the RFC base modules as text, for the tests that let smilint and net-snmp read our
# MIB: a checkout beside a folder of them, or what a distribution's net-snmp libraries or an NMS brings.
# Without it those tests are skipped.
DHCPSYNC_MIB_BASE ?= $(abspath $(wildcard ../shared/mibs-base))
export DHCPSYNC_MIB_BASE

# `make demo --keep` reaches make as its own -k (--keep-going), and means the same as KEEP=1 here.
KEEP ?= $(findstring k,$(firstword -$(filter-out --%,$(MAKEFLAGS))))

# Which seeds `make night` runs; "fresh" draws a base each time and prints it.
BASE ?= fresh
MINUTES ?= 60

.PHONY: help install packages demo model mutants night test lint types pytest clean

help:
	@sed -n 's/^# make /make /p' Makefile

install: packages $(INSTALLED)

packages:
	@tools/setup/packages.sh run

$(INSTALLED): requirements.lock pyproject.toml | packages
	@tools/setup/venv.sh

demo: install
	@tools/setup/packages.sh demo
	@$(BIN)/dhcpsync lab demo $(if $(KEEP),--keep)

# One after the other, whatever -j says: the lab is one for the machine, and the first failure of
# the cheap checks ends it.
test: install
	@tools/setup/packages.sh test || [ "$$(id -u)" != 0 ]
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory pytest

model: install
	$(BIN)/dhcpsync model

night: install
	$(BIN)/dhcpsync simulate --members mix --seeds 1..100000 --base $(BASE) --hours 12 --level auto \
	    --world drawn --minutes $(MINUTES) --out simulated

mutants: install
	$(BIN)/python -m tests.sim.mutate
	$(BIN)/pytest -v tests/model/test_mutants.py

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

pytest: install
	$(BIN)/pytest

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
