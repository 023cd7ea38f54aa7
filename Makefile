.DEFAULT_GOAL := help
PYTHON ?= python3
PY := .venv/bin/python

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv && .venv/bin/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]' && touch $@

.PHONY: help setup demo test test-slow lint smoke golden ceg-accuracy gpu-smoke format clean
help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-13s %s\n", $$1, $$2}'
setup: .venv/.installed  ## make .venv and install into it
demo: setup  ## seven arms at two small scales on real text: a table of gains in minutes
	$(PY) train.py -m experiment=demo
test: setup  ## the fast tests
	$(PY) -m pytest -n auto -m 'not slow'
test-slow: setup  ## the tests that take longer
	$(PY) -m pytest -n auto -m slow
lint: setup  ## ruff, mypy --strict, import-linter
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports
smoke: setup  ## the line every user types first, for a few steps
	$(PY) train.py -m attention=mqa,sparse model=compact,full budget=smoke
golden: setup  ## measure the golden losses again, after a change that is meant to move them
	$(PY) -m tests.golden
ceg-accuracy: setup  ## bias, RMSE and coverage of every estimator on synthetic curves, minutes
	$(PY) benchmarks/ceg_accuracy.py
gpu-smoke: setup  ## on one CUDA GPU: speed, memory and agreement, under 8 minutes
	$(PY) benchmarks/gpu_smoke.py
format: setup  ## write the code as ruff formats it
	.venv/bin/ruff check --fix . && .venv/bin/ruff format .
clean:  ## remove everything that git ignores, the environment and finished sweeps included
	git clean -fdX
