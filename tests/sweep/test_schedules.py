"""What a sweep says of its schedules before it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from algoprog.run import app, fit
from algoprog.run.spec import RunSpec
from algoprog.sweep.plan.plan import Plan
from algoprog.sweep.plan.schedules import told
from tests.configs import TINY_RUN, compose

FORMER_WSD = (
    "schedule=wsd",
    "schedule.warmup_steps=null",
    "schedule.warmup_fraction=0.1",
    "schedule.branches=1",
)


def planned(*words: str) -> Plan:
    overrides = [*TINY_RUN, *words]
    return Plan(todo=[(app.prepare(compose(*overrides)), overrides)])


def leave(folder: Path, *words: str) -> None:
    """A finished run as it was before the schedule had a warm-up of one length."""
    spec = app.prepare(compose(*TINY_RUN, *words))
    run = folder / spec.name
    fit.run(spec, run, [])
    config: Any = OmegaConf.load(run / "config.yaml")
    del config.schedule["warmup_steps"], config["role"]
    (run / "config.yaml").write_text(OmegaConf.to_yaml(config))


@pytest.mark.parametrize("words", [("schedule=cosine",), FORMER_WSD], ids=["cosine", "wsd"])
def test_an_old_command_in_an_old_folder_is_told_the_words_that_restore_its_schedule(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    leave(tmp_path, *words)
    assert f"holds a run of these, finished under another schedule: add {' '.join(words)} to" in told(
        planned(), tmp_path
    )
    assert app.prepare(compose(*TINY_RUN, *words)).name in {path.name for path in tmp_path.iterdir()}
    for other in (("schedule=linear",), ("seed=1",), ("norm=ln",), ("optim.lr=1",)):
        assert "another schedule" not in told(planned(*other), tmp_path)


def test_what_annealed_ends_cost_is_said(tmp_path: Path) -> None:
    said = told(planned("budget.steps=500"), tmp_path)
    assert "annealed ends of smaller budgets add 35% to the FLOPs; schedule.branches=1 leaves them out" in said
    assert "single" not in said


def test_a_single_end_is_said(tmp_path: Path) -> None:
    assert "1 of 1 runs have a single annealed end" in told(planned(), tmp_path)
    assert told(planned("schedule=constant"), tmp_path) == ""
    assert told(planned("role=search"), tmp_path) == "", "a trial needs no more"


def test_the_steps_that_are_paid_are_those_of_the_run_and_its_branches() -> None:
    spec = app.prepare(compose(*TINY_RUN, "budget.steps=500"))
    assert isinstance(spec, RunSpec)
    assert spec.config["schedule"]["branches"] == 6
    assert spec.paid_steps == 500 + sum(end - start for start, end in spec.branches()) == 674
