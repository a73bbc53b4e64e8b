# Two commands do everything: `make train` and `make test`. Each sets up .venv first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# `make train` trains four tasks of Meta-World; another suite has a budget that shows it learn on two cores.
SUITE ?= starter
ACTORS ?= 4
STEPS ?= $(if $(filter starter,$(SUITE)),100000,1200000)
PRESET ?= laptop
SETS ?=

# `make gpu-check`: SITE= is a directory of packages for a machine without registry; its own python3 and torch then.
DEVICE ?= cuda
MINUTES ?= 9
OUT ?= gpu-check
SITE ?=
GPU_PYTHON ?= $(if $(SITE),python3,$(BIN)/python)

.PHONY: help venv train demo test test-all gpu-check docs docs-reference format lint types check lock clean
.DEFAULT_GOAL := help

help: ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv: $(VENV)/.installed ## set up .venv from the locked constraints

$(VENV)/.installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) > /dev/null || \
	{ echo "$(PYTHON) is not there: make $(MAKECMDGOALS) PYTHON=python3.12, or install it"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "installing the locked packages into $(VENV) (about two minutes the first time)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

train: venv ## train on real Meta-World (SUITE= ACTORS= STEPS= PRESET= SETS= override)
	$(BIN)/stars-dist launch --suite $(SUITE) --actors $(ACTORS) --steps $(STEPS) --preset $(PRESET) $(SETS)

demo: venv ## the trained policy that comes along: a table, an MP4 and a GIF, in two minutes
	$(BIN)/stars-dist demo

test: venv ## the tests that fit in ten minutes, as many at a time as there are cores
	$(BIN)/python -m pytest -m "not slow" --numprocesses logical --maxprocesses 8 --dist worksteal

test-all: venv ## every test, the slow ones too
	$(BIN)/python -m pytest

gpu-check: $(if $(SITE),,venv) ## tests and benchmarks on a GPU (DEVICE= MINUTES= OUT= SITE= override)
	PYTHONPATH=$(CURDIR)$(if $(SITE),:$(SITE))$(if $(PYTHONPATH),:$(PYTHONPATH)) $(GPU_PYTHON) -m stars_dist.bench.gpu_check \
	--device $(DEVICE) --minutes $(MINUTES) --out $(OUT)

docs: venv ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open site/index.html"

docs-reference: venv ## write docs/commands.md, configuration.md and metrics.md anew from the code
	$(BIN)/python -m stars_dist.reference.write_pages docs

format: venv ## rewrite the sources in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: venv
	$(BIN)/pyright

check: lint types ## format, lint and types

lock: venv ## write constraints.txt anew from what .venv holds
	(echo '# Locked versions of everything the project installs; `make lock` writes this file anew.'; \
	$(BIN)/python -m pip freeze --exclude-editable | sed -e 's/+cpu//') > constraints.txt

clean: ## remove .venv and caches; runs/ stays
	rm -rf $(VENV) site *.egg-info .pytest_cache .ruff_cache .hypothesis
