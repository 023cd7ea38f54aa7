"""Tiny runs that train together, in this process or in one that dies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from algoprog.run.app import prepare
from algoprog.run.fit import run
from algoprog.run.together import MemberRun, train_stacked
from algoprog.runs.record import Record
from tests.configs import TINY_RUN, compose
from tests.training import resuming
from tests.warm import server

Words = Sequence[str]


def member(folder: Path, words: Words) -> MemberRun:
    """A member whose files go into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    overrides = [*TINY_RUN, *words]
    return MemberRun(prepare(compose(*overrides)), folder, overrides)


def together(folder: Path, runs: Mapping[str, Words], *common: str) -> dict[str, Record | BaseException]:
    """How each ended, by the name of its folder."""
    members = [member(folder / name, [*words, *common]) for name, words in runs.items()]
    return dict(zip(runs, train_stacked(members, lambda number: None), strict=True))


def alone(folder: Path, words: Words, *common: str) -> Record:
    """The same run by itself."""
    one = member(folder, [*words, *common])
    return run(one.spec, one.folder, one.overrides)


def killed(folder: Path, runs: Mapping[str, Words], *common: str, at: int) -> None:
    """Let their process be killed by SIGKILL at the end of a step."""
    process: Any = server.Process(target=_die, args=(folder, dict(runs), common, at))
    process.start()
    process.join(resuming.PATIENCE)
    assert process.exitcode == -9


def _die(folder: Path, runs: Mapping[str, Words], common: Words, at: int) -> None:
    torch.set_num_threads(1)
    resuming._arm({"step": at})
    together(folder, runs, *common)
