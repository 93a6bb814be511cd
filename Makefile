# make install   .venv with the dhcpsync command and what it needs to run, from hash-locked dependencies
# make dev       that, and what works on the project: linters, type checker, test runner
# make demo      three members, real clients, a crash, a fourth member (KEEP=1 leaves it up)
# make check     linters, strict types, and the tests that need neither root nor a simulated cluster
# make quick     that, a dozen simulated clusters that nobody has seen, and one lab (LAB=tests/lab/...)
# make test      linters, strict types, every test but the maintenance day
# make day       a maintenance day of five members and 400 clients, in the lab (three minutes)
# make model     every state of small models of the protocol, with each rule on and off
# make night     new simulated days of groups of 2 to 16, for an hour (BASE=N: those of N again)
# make coverage  which branches of the rules the tests of the rules come through
# make mutants   take rules out of the code one by one; each must be noticed
# make clean     takes away what the others made

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOPED := $(VENV)/.developed

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

# The lab module of `make quick`.
LAB ?= tests/lab/test_clients.py

# What `make check` leaves out: namespaces, processes that are killed, and whole groups for a long
# while, simulated or searched.
SLOW := tests/lab tests/net tests/sim tests/model tests/test_crash.py tests/test_cluster.py \
    $(patsubst %,tests/sync/test_%.py,cold_start conflict recover removal set_back)

# Several targets at a time, each with its output in one piece.
TOGETHER := $(MAKE) --no-print-directory --output-sync=target --keep-going -j

.PHONY: help install dev packages demo model mutants night check quick test day coverage clean
.PHONY: lint types pytest test_packages unrooted seeds one_lab

help:
	@sed -n 's/^# make /make /p' Makefile

install: packages $(INSTALLED)

dev: packages $(DEVELOPED)

packages:
	@tools/setup/packages.sh run

$(INSTALLED): requirements.lock pyproject.toml | packages
	@tools/setup/venv.sh requirements.lock
	@touch $@

# It brings what `make install` does, in the same versions.
$(DEVELOPED): requirements-dev.lock requirements.lock pyproject.toml | packages
	@tools/setup/venv.sh requirements-dev.lock
	@touch $(INSTALLED) $@

demo: install
	@tools/setup/packages.sh demo
	@$(BIN)/dhcpsync lab demo $(if $(KEEP),--keep)

check: dev
	@+$(TOGETHER)3 lint types unrooted

quick: dev test_packages
	@$(MAKE) --no-print-directory check
	@+$(TOGETHER)2 seeds one_lab

# One after the other, whatever -j says: the first failure of the cheap checks ends it, and the
# tests need every core (tests/shards.py).
test: dev test_packages
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory pytest

test_packages: dev
	@tools/setup/packages.sh test || [ "$$(id -u)" != 0 ]

day: dev test_packages
	$(BIN)/pytest -q tests/lab/test_maintenance_day.py

model: install
	$(BIN)/dhcpsync model

night: install
	$(BIN)/dhcpsync simulate --members mix --seeds 1..100000 --base $(BASE) --hours 12 --level auto \
	    --world drawn --minutes $(MINUTES) --out simulated

mutants: dev
	$(BIN)/python -m tests.sim.mutate
	$(BIN)/pytest -v tests/model/test_mutants.py tests/sync/test_mutants.py

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: dev
	$(BIN)/mypy

pytest: dev
	$(BIN)/python -m tests.shards

unrooted: dev
	$(BIN)/pytest -q -n auto --dist worksteal $(SLOW:%=--ignore=%)

# Only as fast as the lab beside it leaves it time to be.
seeds: install
	nice -n 10 $(BIN)/dhcpsync simulate --members mix --seeds 1..12 --hours 1 --level auto \
	    --world drawn --out simulated --base \
	    "$$($(BIN)/python -c 'from tools.simulator import sampling; print(sampling.base_of_commit())')"

one_lab: dev
	$(BIN)/pytest -q $(LAB)

coverage: dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q tests/dhcp tests/sync tests/sim/test_plans.py
	$(BIN)/coverage report

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
