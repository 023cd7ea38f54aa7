.DEFAULT_GOAL := help
PYTHON ?= python3
PY := .venv/bin/python
# One worker more than cores: many tests wait for a process.
WORKERS := $(shell $(PYTHON) -c "import os; print((os.cpu_count() or 1) + 1)")
# Dozens of processes import the same modules: they are compiled once, whatever the environment says.
export PYTHONDONTWRITEBYTECODE =
SHARED := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv && .venv/bin/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]' && \
	.venv/bin/pip install -q --disable-pip-version-check -c constraints.txt --no-deps --upgrade --target .venv/reference transformers safetensors fla-core && touch $@

.PHONY: help setup demo test test-sweeps test-slow test-slow-again fuzz test-cluster lint smoke golden ceg-accuracy findings-accuracy tuning-accuracy screening-accuracy prediction-accuracy engine-speed overhead engine-reentry plan-time chaos bench step-times mup-transfer catalogue gpu-smoke gpu-bench format clean
help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-15s %s\n", $$1, $$2}'
setup: .venv/.installed  ## make .venv and install into it
demo: setup  ## four arms on real text, tuned, four seeds, annealed ends: a table of gains in minutes
	$(PY) train.py -m experiment=demo
test: setup  ## the fast tests
	$(PY) -m pytest $(SHARED) -m 'not slow and not cluster'
test-sweeps: setup  ## every kind of sweep from its command line to its gains, of the slow tests the most telling
	$(PY) -m pytest $(SHARED) -m slow tests/sweep/test_compare.py tests/sweep/test_two_phases.py
test-slow: setup  ## the tests that take longer
	$(PY) -m pytest $(SHARED) -m slow
test-slow-again: setup  ## those of them that failed, one after the other
	$(PY) -m pytest -m slow --last-failed --last-failed-no-failures=none
fuzz: setup  ## odd curves, texts and settings by the thousand (FUZZ=N), hours: one sentence or a right answer
	HYPOTHESIS_PROFILE=fuzz $(PY) -m pytest tests/fuzz
test-cluster: setup  ## the same sweep on a real Slurm and a real Ray of this machine; docs/clusters.md
	$(PY) -m tests.cluster.missing && $(PY) -m pytest -m cluster tests/cluster
lint: setup  ## ruff, mypy --strict, import-linter
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports
smoke: setup  ## the line every user types first, for a few steps
	$(PY) train.py -m attention=mqa,sparse model=compact,full budget=smoke
golden: setup  ## measure the golden losses again, after a change that is meant to move them
	$(PY) -m tests.golden
ceg-accuracy: setup  ## bias, RMSE and coverage of every estimator on synthetic curves, minutes
	$(PY) benchmarks/ceg_accuracy.py
findings-accuracy: setup  ## false and missed findings in simulated sweeps of 20 variants, minutes
	$(PY) benchmarks/findings_accuracy.py
engine-speed: setup  ## how busy a sweep of 16 short runs keeps the cores, minutes
	$(PY) benchmarks/engine.py
overhead: setup  ## what sixteen runs of 400 steps take over their optimizer steps alone, a quarter of an hour
	$(PY) benchmarks/engine.py --steps 400 --overhead evaluation.points=2
engine-reentry: setup  ## how long a finished sweep of 200 runs takes to be found complete and analysed
	$(PY) benchmarks/reentry.py
plan-time: setup  ## how near the time and memory of a plan come to what then happens: ten sweeps, a quarter of an hour
	$(PY) benchmarks/plan_time.py
chaos: setup  ## kill, corrupt and starve a sweep at random; its records must equal those of an undisturbed one
	$(PY) benchmarks/chaos.py
	$(PY) benchmarks/chaos.py --members 3
screening-accuracy: setup  ## how often a screen drops what lies at its gate and what it saves, by simulation, minutes
	$(PY) benchmarks/screening_accuracy.py
tuning-accuracy: setup  ## how well the gain of a tuned variant is known, by simulation, a minute
	$(PY) benchmarks/tuning_accuracy.py
prediction-accuracy: setup  ## how far predictions of a larger model are off on simulated ladders, minutes
	$(PY) benchmarks/prediction_accuracy.py
.venv/.peers: constraints.txt .venv/.installed
	.venv/bin/pip install -q --disable-pip-version-check -c constraints.txt --no-deps --upgrade --target .venv/peers \
	  x-transformers torch-einops-utils einx einops frozendict loguru litgpt && touch $@
bench: .venv/.peers  ## a step of ours beside transformers', litgpt's and x-transformers', interleaved, minutes
	$(PY) benchmarks/peers.py
mup-transfer: setup  ## where the best learning rate lies at each width, muP beside the usual initial weights, hours
	$(PY) benchmarks/mup_transfer.py
step-times: setup  ## a step of each variant of a sweep beside the baseline's, interleaved: make step-times WORDS="..."
	$(PY) benchmarks/step_times.py $(WORDS)
catalogue: setup  ## write docs/catalogue.md from the options
	$(PY) benchmarks/catalogue.py
gpu-smoke: setup  ## on one CUDA GPU: speed, memory and agreement, under 8 minutes
	$(PY) benchmarks/gpu_smoke.py
gpu-bench: setup  ## on one CUDA GPU: members, MFU, kernels, recompilations, under 9 minutes
	$(PY) benchmarks/gpu_bench.py
format: setup  ## write the code as ruff formats it
	.venv/bin/ruff check --fix . && .venv/bin/ruff format .
clean:  ## remove everything that git ignores, the environment and finished sweeps included
	git clean -fdX
