"""What you sweep, you compare: every kind of sweep from its command line to its gains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from algoprog.ceg.curves import curves_from_runs
from algoprog.ceg.gains import Gain, compute_gains
from algoprog.config import conf_dir
from algoprog.runs.record import Record, Run
from algoprog.runs.views import compared_runs
from tests.configs import part
from tests.e2e.conftest import TINY
from tests.warm import TRAIN, program

pytestmark = pytest.mark.slow

HERE = ("hydra/launcher=basic", "~hydra.callbacks.gains", "hydra.sweeper.reuse=null", "budget.steps=6", "model=nano")
"""Every run in one process, and no report: only the names and gains of what was trained are asked for."""

NAMES = {
    "precision=32,bf16-mixed": {"none", "precision=bf16-mixed"},
    "batch_size=2,8": {"none", "batch_size=8"},
    "model.dropout=0,0.1": {"none", "model.dropout=0.1"},
    "schedule=cosine,wsd attention=dense,mqa": {"none", "cosine", "mqa", "mqa+cosine"},
    "baseline=llama attention=gqa norm=ln": {"none", "gqa+ln"},
    "baseline.kernel=flash pos=rope": {"none", "rope"},
    "backbone=lstm": {"none", "lstm"},
    "block=pre,post norm=ln": {"ln", "post+ln", "none"},
    "design=paper design.variants=[none,'precision=bf16-mixed+ln']": {"none", "ln+precision=bf16-mixed"},
}
"""Variants by what is typed."""

MICRO_BATCH = "batch_size=2,4,6"
MOVED = "baseline=llama baseline.kernel=math attention=gqa"
RATES = "attention=mqa optim.lr=1e-3,1e-2"
SEQUEL = ("precision=bf16-mixed attention=mqa", "precision=32,bf16-mixed attention=dense,mqa")
OTHERS = ("pos=rope", "baseline=gpt2 pos=rope")
"""Two sweeps of one folder."""

OPTIMIZERS = ["muon"]
OWN_RATE = [f"optim={name}" for name in OPTIMIZERS]
BEST_RATE = [f"optim=adamw,{name} optim.lr=1e-3,1e-2" for name in OPTIMIZERS]

FOLDERS = [*((line,) for line in (*NAMES, MICRO_BATCH, MOVED, RATES, *OWN_RATE, *BEST_RATE)), SEQUEL, OTHERS]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of every sweep, by the first command line that used it."""
    base = tmp_path_factory.mktemp("sweeps")
    found = {lines[0]: base / str(number) for number, lines in enumerate(FOLDERS)}
    words = [[f"hydra.sweep.dir={found[lines[0]]}", *TINY, *HERE, *line.split()] for lines in FOLDERS for line in lines]
    (base / "lines.json").write_text(json.dumps(words))
    script = Path(__file__).parent / "planted" / "sweeps.py"
    result = program(str(script), TRAIN, str(conf_dir()), str(base / "lines.json"))
    assert result.returncode == 0, result.stderr
    return found


def gains(runs: list[Run]) -> dict[str, list[Gain]]:
    """The rows of every variant, in FLOPs and in seconds."""
    found: dict[str, list[Gain]] = {}
    for row in compute_gains(curves_from_runs(runs), estimators=["iso_loss"], costs=["flops", "seconds"]):
        found.setdefault(row.variant, []).append(row)
    return found


def records(folder: Path) -> dict[str, Record]:
    return {run.record.variant: run.record for run in compared_runs(folder)}


@pytest.mark.parametrize("line", NAMES)
def test_a_sweep_gives_gains_of_what_it_varies(trained: dict[str, Path], line: str) -> None:
    runs = compared_runs(trained[line])
    assert {run.record.variant for run in runs} == NAMES[line]
    assert len({(run.record.cohort, run.record.model) for run in runs}) == 1
    rows = gains(runs)
    assert rows.keys() == NAMES[line]
    assert all({row.cost for row in own} == {"flops", "seconds"} for own in rows.values())


def test_a_baseline_is_a_file_and_the_record_says_which(trained: dict[str, Path]) -> None:
    found = records(trained[MOVED])
    assert found.keys() == {"none", "gqa"}
    assert found["gqa"].baseline == "llama(kernel=math)"
    assert found["gqa"].axes["kernel"] == found["none"].axes["kernel"] == "math"
    assert found["gqa"].choices["attention"] == {"option": "gqa", "group_size": 2}
    assert found["gqa"].choices["schedule"]["option"] == "wsd"
    assert found["gqa"].protocol["model.bias"] is False


def test_a_record_holds_no_axis_that_its_backbone_lacks(trained: dict[str, Path]) -> None:
    found = records(trained["backbone=lstm"])
    assert found["none"].axes.keys() - found["lstm"].axes.keys() == {
        "block",
        "mixer",
        "attention",
        "pos",
        "mlp",
        "kernel",
        *("qk_norm", "output_gate", "sinks", "softcap", "skip"),
    }


def test_the_record_says_what_it_was_measured_against(trained: dict[str, Path]) -> None:
    found = records(trained["model.dropout=0,0.1"])
    assert found["model.dropout=0.1"].against == {"model.dropout": 0.0}
    assert found["model.dropout=0.1"].protocol == found["none"].protocol


def test_the_micro_batch_follows_the_batch(trained: dict[str, Path]) -> None:
    assert records(trained[MICRO_BATCH]).keys() == {"none", "batch_size=4", "batch_size=6"}


def test_rates_are_tuned_and_in_no_name(trained: dict[str, Path]) -> None:
    runs = compared_runs(trained[RATES])
    assert {run.record.variant for run in runs} == {"none", "mqa"}
    assert len({run.record.run_id for run in runs}) == 4
    assert all(row.trials == 2 for row in gains(runs)["mqa"])


@pytest.mark.parametrize("line", OWN_RATE)
def test_an_optimizer_is_compared_at_its_own_scale_of_rates(trained: dict[str, Path], line: str) -> None:
    found = records(trained[line])
    assert found.keys() == {"none", line.removeprefix("optim=")}
    assert len({record.cohort for record in found.values()}) == 1
    for record in found.values():
        usual = part("optim", record.choices["optim"]["option"])["lr"]
        assert record.protocol["optim.lr"] == record.choices["optim"]["lr"] == usual


@pytest.mark.parametrize("line", BEST_RATE)
def test_two_optimizers_stand_each_at_its_best_rate(trained: dict[str, Path], line: str) -> None:
    runs = compared_runs(trained[line])
    assert len(runs) == 4
    rows = gains(runs)
    assert rows.keys() == {"none", OPTIMIZERS[0]}
    assert all(row.trials == 2 for own in rows.values() for row in own)


def test_a_finished_run_is_another_variant_in_a_later_sweep(trained: dict[str, Path]) -> None:
    runs = compared_runs(trained[SEQUEL[0]])
    assert len({run.path for run in runs}) == 4  # nothing was trained twice
    cohorts: dict[str, set[str]] = {}
    for run in runs:
        cohorts.setdefault(run.record.cohort, set()).add(run.record.variant)
    every = {"none", "mqa", "precision=bf16-mixed", "mqa+precision=bf16-mixed"}
    assert sorted(cohorts.values(), key=len) == [{"none", "mqa"}, every]
    assert len({row.model for own in gains(runs).values() for row in own}) == 2  # two tables, told apart


def test_sweeps_against_other_baselines_do_not_mix(trained: dict[str, Path]) -> None:
    runs = compared_runs(trained[OTHERS[0]])
    assert len({(run.record.baseline, run.record.cohort) for run in runs}) == 2
    for name in ("gpt2", "gpt2_paper"):
        assert {run.record.variant for run in runs if run.record.baseline == name} == {"none", "rope"}
    rows = gains(runs)
    assert {row.model for row in rows["rope"]} == {row.model for row in rows["none"]}
    assert len({row.model for row in rows["rope"]}) == 2  # a table for each
