"""Sweeps that search, from the command line: both phases, what they leave, and what a killed driver costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from algoprog.runs.calls import read_calls
from algoprog.runs.record import COMPARE, SEARCH
from algoprog.runs.store import load_runs
from algoprog.sweep.search.choices import read_choices
from algoprog.sweep.watch.status import SweepView, table
from tests.e2e.conftest import ROOT, TINY, Program
from tests.sweep.conftest import wait_until

pytestmark = pytest.mark.slow  # eight runs and more a sweep

SEARCHING = [
    "-m",
    *TINY,
    "budget.steps=40",
    "variant=none,ln",
    "tune=lr",
    "optim.lr=2e-2,1e-1",
    "tune.max_trials=3",
    "~hydra.callbacks.gains",  # the analysis takes longer than all runs together
]
"""Four trials, one or two beyond an edge, two compared runs."""


@pytest.fixture(scope="module")
def undisturbed(train: Program, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a sweep that searched, and what it printed."""
    folder = tmp_path_factory.mktemp("tuned") / "sweep"
    result = train(*SEARCHING, f"hydra.sweep.dir={folder}", "hydra.sweeper.reuse=null")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder, result.stdout


def left(folder: Path) -> dict[str, tuple[str, str, int, float | None]]:
    """What every run of a sweep came to."""
    return {
        run.path.name: (run.record.role, run.record.variant, run.record.seed, run.record.final_val_loss)
        for run in load_runs(folder)
    }


def test_the_compared_runs_stand_at_what_the_trials_chose(undisturbed: tuple[Path, str]) -> None:
    folder, printed = undisturbed
    choices = {choice.variant: choice for choice in read_choices(folder).values()}
    assert choices.keys() == {"none", "ln"}
    runs = load_runs(folder)
    for variant, choice in choices.items():
        trials = [run.record for run in runs if run.record.role == SEARCH and run.record.variant == variant]
        (compared,) = [run.record for run in runs if run.record.role == COMPARE and run.record.variant == variant]
        assert len(choice.trials) == len(trials) in (2, 3)
        assert {trial.loss for trial in choice.trials} == {record.final_val_loss for record in trials}
        assert {record.seed for record in trials} == {1000}
        assert compared.seed == 0
        assert compared.protocol["optim.lr"] == choice.values["optim.lr"]
        assert choice.flops == pytest.approx(sum(record.train_flops for record in trials))
    assert "2 runs to compare in" in printed
    assert "after 2 searches of 4 to 6 trials on seed 1000" in printed
    assert "2 runs in" in printed


def test_status_tells_the_phases_apart(undisturbed: tuple[Path, str]) -> None:
    folder, _ = undisturbed
    view = SweepView(folder)
    roles = [row.role for row in view.rows()]
    shown = table(view.rows(), to_come=view.to_come())
    assert shown.splitlines()[-2] == f"{roles.count(SEARCH)} trials of the search: {roles.count(SEARCH)} done"
    assert shown.splitlines()[-1] == "2 compared runs: 2 done"
    (call,) = read_calls(folder).calls
    assert set(call.asked) == {row.name for row in view.rows()}
    assert max(map(len, shown.splitlines())) <= 80


def test_the_same_command_again_trains_and_chooses_nothing(train: Program, undisturbed: tuple[Path, str]) -> None:
    folder, _ = undisturbed
    before, chosen = left(folder), (folder / "choices.json").read_text()
    result = train(*SEARCHING, f"hydra.sweep.dir={folder}")
    assert result.returncode == 0, result.stderr
    assert "at what 2 searches chose before" in result.stdout
    assert "0 to train, 2 finished before" in result.stdout
    assert "search, round" not in result.stdout
    assert left(folder) == before
    assert (folder / "choices.json").read_text() == chosen


def test_added_seeds_and_variants_change_no_choice(train: Program, undisturbed: tuple[Path, str]) -> None:
    folder, _ = undisturbed
    chosen = read_choices(folder)
    words = [word.replace("none,ln", "none,flash,rope") for word in SEARCHING]
    result = train(*words, "seed=0,1", f"hydra.sweep.dir={folder}")
    assert result.returncode == 0, result.stderr
    after = read_choices(folder)
    assert {name: after[name] for name in chosen} == chosen
    assert sorted(choice.variant for choice in after.values()) == ["ln", "none", "rope"]  # flash shares the baseline's
    found = {(run.record.variant, run.record.seed) for run in load_runs(folder) if run.record.role == COMPARE}
    assert found == {("ln", 0), *((variant, seed) for variant in ("none", "flash", "rope") for seed in (0, 1))}


def begun(folder: Path, role: str) -> bool:
    """Whether a run of a role is under way or done."""
    if not (folder / "sweep.json").exists():
        return False
    calls = read_calls(folder)
    return any((folder / name / "curve.csv").exists() for name in calls.runs if calls.role(name) == role)


def chosen(folder: Path) -> bool:
    """Whether the first phase is over."""
    return (folder / "choices.json").exists() and len(read_choices(folder)) == 2


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "in the search": lambda folder: begun(folder, SEARCH),
    "between the phases": chosen,
    "in the comparison": lambda folder: begun(folder, COMPARE),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_driver_costs_neither_choices_nor_runs(
    train: Program, undisturbed: tuple[Path, str], tmp_path: Path, moment: str
) -> None:
    words = [*SEARCHING, f"hydra.sweep.dir={tmp_path / 'sweep'}", "hydra.sweeper.reuse=null"]
    with (tmp_path / "output").open("w") as output:
        driver = subprocess.Popen(
            [sys.executable, str(ROOT / "train.py"), *words], cwd=ROOT, stdout=output, stderr=output
        )
    wait_until(lambda: MOMENTS[moment](tmp_path / "sweep") or driver.poll() is not None)
    os.kill(driver.pid, signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL, "it was through before it was killed"
    time.sleep(0.5)
    result = train(*words)
    assert result.returncode == 0, result.stdout + result.stderr
    folder, _ = undisturbed
    first, whole = left(tmp_path / "sweep"), left(folder)
    assert {name: whole[name] for name in first} == first
    assert [role for role, *_ in first.values()].count(COMPARE) == 2
    ours, theirs = (json.loads((path / "choices.json").read_text()) for path in (tmp_path / "sweep", folder))
    assert ours == [choice for choice in theirs if choice["variant"] in ("none", "ln")]


def test_a_search_whose_trials_all_fail_leaves_the_configured_rate(train: Program, tmp_path: Path) -> None:
    words = ["-m", *TINY, "budget.steps=6", "tune=lr", "optim.lr=1e30,1e31", "tune.max_trials=2"]
    result = train(*words, f"hydra.sweep.dir={tmp_path}", "hydra.sweeper.reuse=null")
    assert "none of 2 trials finished, its runs take what is configured" in result.stderr
    (compared,) = [run.record for run in load_runs(tmp_path) if run.record.role == COMPARE]
    assert compared.protocol["optim.lr"] == 1e-3
    (choice,) = json.loads((tmp_path / "choices.json").read_text())
    assert choice["values"] == {}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["-m", *TINY, "tune=lr", "hydra/sweeper=basic", "hydra/launcher=basic"],
            "hydra/sweeper=basic searches nothing",
        ),
        (["-m", *TINY, "tune=lr", "seed=0,1000"], "seed=1000 is a seed that settings are chosen on"),
    ],
)
def test_a_search_that_cannot_be_is_refused(train: Program, tmp_path: Path, words: list[str], says: str) -> None:
    result = train(*words, f"hydra.sweep.dir={tmp_path}")
    assert result.returncode == 2
    assert says in result.stderr
    assert [line[:7] for line in result.stderr.splitlines() if "preparing" not in line] == ["error: "]
    assert not list(tmp_path.rglob("record.json"))
