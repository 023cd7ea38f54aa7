"""Logs of modded-nanogpt: `step:125/5100 val_loss:6.1899 train_time:18250ms step_avg:146ms` among much else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from algoprog.ceg.curves import Curve
from algoprog.ceg.tables.curve import curve_of
from algoprog.ceg.tables.evaluations import Evaluation, Key
from algoprog.ceg.tables.runs import split

SPEEDRUN = "modded-nanogpt"
SUFFIXES = (".txt", ".log")
_LINE = re.compile(
    r"^\s*s(?:tep)?:(?P<step>\d+)(?:/(?P<budget>\d+))?\s+(?:val_loss|tel):(?P<loss>[-+.\w]+)"
    r"(?:.*?\btrain_time:(?P<time>[\d.]+)(?P<unit>m?s)\b)?"
)
_UUID = re.compile(r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def read_logs(root: Path) -> list[Curve]:
    """The curves of a log, or of all logs in a folder: one variant for every folder that holds some, one seed a log.

    A log by itself is named after its file, or after its folder where the file's name is a run's number.
    """
    paths = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.suffix in SUFFIXES)
    curves: list[Curve] = []
    seeds: dict[str, int] = {}
    for path in paths:
        lines = list(_evaluations(path))
        if lines:
            name = path.stem if root.is_file() and not _UUID.match(path.stem) else path.resolve().parent.name
            seed = seeds[name] = seeds.get(name, -1) + 1
            curves.append(_curve(path, Key(name, SPEEDRUN, seed), lines))
    return curves


def is_log(path: Path) -> bool:
    """Whether a file is such a log."""
    return path.suffix in SUFFIXES and next(_evaluations(path), None) is not None


def _curve(path: Path, key: Key, lines: list[Evaluation]) -> Curve:
    known = {line.budget: float(line.budget) for line in lines if line.budget}
    (run,) = split(lines, "steps", known)[-1:]  # a log that was written twice ends with the run that finished
    return curve_of(path, key, run, {"steps": "step", "seconds": "train_time"}, "steps")


def _evaluations(path: Path) -> Iterator[Evaluation]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if found := _LINE.match(line):
                costs = {"steps": float(found["step"]), "seconds": _seconds(found)}
                where = f"{path} line {number}"
                yield Evaluation(where, _loss(found["loss"]), costs, {}, budget=found["budget"] or "")


def _seconds(found: re.Match[str]) -> float:
    if found["time"] is None:
        return float("nan")
    return float(found["time"]) / (1000 if found["unit"] == "ms" else 1)


def _loss(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
