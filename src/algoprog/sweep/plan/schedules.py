"""What a sweep says of its schedules: what annealed ends cost, and how runs under another default are found again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from algoprog.config import conf_dir, read_config
from algoprog.overrides import parse, subject
from algoprog.runs.record import COMPARE, RECORD_FILE
from algoprog.sweep.plan.plan import Plan
from algoprog.variant import FORMERLY, determining


def told(planned: Plan, sweep_dir: Path) -> str:
    """The lines for the beginning of a sweep, each with its end."""
    return "".join(f"  {line}\n" for line in (*_former(planned, sweep_dir), *_ends(planned)))


def _ends(planned: Plan) -> Iterator[str]:
    """What the ends of smaller budgets add, and which runs have none."""
    specs = [spec for spec, _ in planned.todo if spec.role == COMPARE]
    run = sum(spec.total_flops for spec in specs)
    paid = sum(spec.paid_flops for spec in specs)
    if paid > run:
        added = f"{paid / run - 1:.0%}"
        yield f"annealed ends of smaller budgets add {added} to the FLOPs; schedule.branches=1 leaves them out"
    single = sum(spec.anneals and not spec.branches() for spec in specs)
    if single:
        yield f"{single} of {len(specs)} runs have a single annealed end: more steps of schedule=wsd have room for more"


def _former(planned: Plan, sweep_dir: Path) -> Iterator[str]:
    """The words under which the folder's runs are those of this sweep, if their schedule alone is another one."""
    untyped = [(spec, words) for spec, words in planned.todo if not _types_schedule(words)]
    if not untyped:
        return
    finished = dict(_finished(sweep_dir))
    found: dict[str, int] = {}
    for spec, _ in untyped:
        config = finished.get((spec.variant, spec.model, spec.seed))
        if config and _less_schedule(config) == _less_schedule(spec.config) and isinstance(config["schedule"], dict):
            words = _words(config["schedule"])
            found[words] = found.get(words, 0) + 1
    for words, count in found.items():
        runs = "a run" if count == 1 else f"{count} runs"
        yield f"{sweep_dir} holds {runs} of these, finished under another schedule: add {words} to keep to it"


def _types_schedule(words: list[str]) -> bool:
    return any(subject(word) == "schedule" for word in parse(words))


def _finished(sweep_dir: Path) -> Iterator[tuple[tuple[str, str, int], dict[str, Any]]]:
    """Variant, model and seed, and the settings, of every finished run in the folder."""
    for path in sorted(sweep_dir.glob(f"*/{RECORD_FILE}")):
        with suppress(KeyError, OSError, TypeError, ValueError):
            raw = json.loads(path.read_text(encoding="utf-8"))
            yield (raw["variant"], raw["model"], raw["seed"]), read_config(path.parent)


def _less_schedule(config: Mapping[str, Any]) -> dict[str, Any]:
    left_out = ("schedule", "data", "micro_batch_size")
    return {key: value for key, value in determining(config).items() if key not in left_out}


def _words(schedule: Mapping[str, Any]) -> str:
    """What has to stand on the command line for a schedule."""
    name, defaults = _option(str(schedule["_target_"]))
    former = {key.removeprefix("schedule."): value for key, value in FORMERLY.items() if key.startswith("schedule.")}
    knobs = {**{key: value for key, value in former.items() if key in defaults}, **schedule}
    changed = [f"schedule.{key}={_word(value)}" for key, value in knobs.items() if defaults.get(key) != value]
    return " ".join([f"schedule={name}", *changed])


@cache
def _option(target: str) -> tuple[str, dict[str, Any]]:
    """Name and values of the option that makes such a schedule."""
    for path in sorted((conf_dir() / "schedule").glob("*.yaml")):
        values = OmegaConf.to_container(OmegaConf.load(path))
        if isinstance(values, dict) and values["_target_"] == target:
            return path.stem, {str(key): value for key, value in values.items()}
    raise ValueError(f"{target} is no schedule of this algoprog")


def _word(value: Any) -> str:
    return "null" if value is None else str(value)
