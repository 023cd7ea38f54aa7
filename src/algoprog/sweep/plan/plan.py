"""The runs of a sweep, checked and priced before the first one starts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from algoprog import written
from algoprog.axes import AXES
from algoprog.baseline import against, baseline_name, baseline_of
from algoprog.overrides import quoted
from algoprog.run.spec import RunSpec
from algoprog.runs.mistake import visible
from algoprog.runs.record import BASELINE, CONFIG_FILE, CURVE_FILE, FINISHED, RECORD_FILE, Record
from algoprog.runs.secrets import redacted
from algoprog.runs.store import find_runs, load_run
from algoprog.runs.views import view_of
from algoprog.sweep.design.compare import baseline_words
from algoprog.sweep.design.composer import Composer
from algoprog.sweep.design.composition import Compose
from algoprog.sweep.plan.condition import Condition, condition
from algoprog.sweep.plan.placement import Placement
from algoprog.sweep.plan.room import make_room
from algoprog.sweep.plan.specs import Specs
from algoprog.variant import variant

Checked = tuple[RunSpec, list[str]]
"""A run that can be trained, with the overrides that make it."""


@dataclass
class Plan:
    """What a sweep is going to do; `todo`, `done` and `reused` partition its runs."""

    todo: list[Checked] = field(default_factory=list)
    done: list[Checked] = field(default_factory=list)  # finished in this sweep's folder before
    reused: list[Checked] = field(default_factory=list)  # baselines nobody asked for, finished elsewhere
    records: dict[str, Record] = field(default_factory=dict)  # of `done` and `reused`, by identity
    sources: dict[str, Path] = field(default_factory=dict)  # folder of each reused run, by identity
    added: list[RunSpec] = field(default_factory=list)  # baselines nobody asked for, among `todo`
    refused: list[tuple[list[str], str]] = field(default_factory=list)  # what cannot be trained, and why
    asked: list[Checked] = field(default_factory=list)  # what can be trained of what was asked for, in its order
    baselines: list[Checked] = field(default_factory=list)  # of the runs asked for, those asked for among them
    at_once: int | None = None  # runs at the same time that memory takes; None where it does not matter
    share: float | None = None  # bytes of memory for each of them

    @property
    def size(self) -> int:
        """All runs that can be trained or are finished."""
        return len(self.todo) + len(self.done) + len(self.reused)

    def to_launch(self) -> list[list[str]]:
        """The words of the runs to train, as a launcher takes them: each with the name of its folder."""
        return [[*overrides, f"hydra.sweep.subdir={quoted(spec.name)}"] for spec, overrides in self.todo]


def plan(
    jobs: Sequence[Sequence[str]],
    compose: Compose,
    *,
    sweep_dir: Path,
    reuse: Path | None,
    placement: Placement | None = None,
    baselines: Sequence[Sequence[str]] | None = None,
) -> Plan:
    """Compose and check every run, add missing baselines, and leave out what is finished.

    Args:
        jobs: overrides of each run asked for.
        compose: Hydra's composition of a run's overrides.
        sweep_dir: folder of the sweep.
        reuse: folder below which finished baselines may be found; None searches none.
        placement: where the runs will be trained; None for runs of this process.
        baselines: overrides of the baselines; None takes those of the runs asked for, at their own settings.
    """
    result = Plan()
    wanted = [list(job) for job in jobs]
    composer = Composer(compose)
    specs = Specs(placement)
    checked = _check(wanted, composer, specs, result)
    asked = {spec.run_id for spec, _ in checked}
    if baselines is None:
        checked, result.baselines = _with_baselines(checked, composer, specs, result)
    else:
        result.baselines = _check([list(job) for job in baselines], composer, specs, result)
    result.asked = checked
    finished = {
        record.run_id: (folder, record) for folder, record in _readable(sweep_dir) if folder.parent == sweep_dir
    }
    elsewhere = _finished_elsewhere(reuse) if any(spec.run_id not in asked for spec, _ in result.baselines) else {}
    seen: set[str] = set()
    for spec, overrides in (*result.baselines, *checked):
        if spec.run_id in seen:
            continue
        seen.add(spec.run_id)
        known = next((name for name in (spec.run_id, spec.former_id) if name in finished), None)
        there = next((name for name in (spec.run_id, spec.former_id) if name in elsewhere), None)
        if known:
            folder, result.records[spec.run_id] = finished[known]
            result.done.append((replace(spec, folder=folder.name), overrides))
        elif there and spec.run_id not in asked:
            result.reused.append((spec, overrides))
            result.sources[spec.run_id], result.records[spec.run_id] = elsewhere[there]
        else:
            begun = _in_its_folder(spec, sweep_dir)
            result.todo.append((begun, overrides))
            if spec.run_id not in asked:
                result.added.append(begun)
    if placement:
        make_room(result, placement)
    return result


def specs_of(jobs: Sequence[Sequence[str]], compose: Compose, placement: Placement | None) -> list[RunSpec]:
    """The checked runs of these overrides.

    Raises:
        ValueError: one of them cannot be trained.
    """
    composer, specs = Composer(compose), Specs(placement)
    return [specs(composer(job)) for job in jobs]


def adopt(planned: Plan, sweep_dir: Path) -> None:
    """Copy the reused baselines into the sweep, so that its folder holds all that its gains rest on."""
    for spec, _ in planned.reused:
        source, target = planned.sources[spec.run_id], sweep_dir / spec.name
        target.mkdir(parents=True, exist_ok=True)
        for name in (CONFIG_FILE, CURVE_FILE, RECORD_FILE):  # the record last: it means "done"
            shutil.copy2(source / name, target / name)


def views(planned: Plan) -> list[dict[str, Any]]:
    """How the sweep sees the runs that were finished before, where their records say otherwise."""
    found = []
    for spec, _ in (*planned.done, *planned.reused):
        seen = {
            "variant": spec.variant,
            "cohort": spec.cohort,
            "model": spec.model,
            "baseline": baseline_name(spec.config),
            "against": against(written.settings(spec.config)),
        }
        record = planned.records[spec.run_id]
        if view := view_of(record, seen):
            found.append({"run_id": record.run_id, **view})
    return found


def left_out(planned: Plan) -> tuple[dict[str, Any], ...]:
    """What a sweep leaves out, each reason once with the words that it is about, as they may be written down."""
    found: dict[str, list[list[str]]] = {}
    for words, reason in planned.refused:
        found.setdefault(redacted(reason), []).append(typed(words))
    return tuple({"reason": reason, "words": words} for reason, words in found.items())


def typed(words: Sequence[str]) -> list[str]:
    """The words of a run as they may be written down, less those that the sweep adds by itself."""
    return [word for word in written.words(list(words)) if not word.startswith("++against=")]


def set_aside(planned: Plan, sweep_dir: Path) -> None:
    """Rename damaged records of the runs to train, so that nobody takes them for done while they are not."""
    for spec, _ in planned.todo:
        record = sweep_dir / spec.name / RECORD_FILE
        if condition(record.parent) is Condition.DAMAGED:
            record.replace(record.with_name(f"{RECORD_FILE}.damaged"))


def _check(jobs: Sequence[list[str]], composer: Composer, specs: Specs, result: Plan) -> list[Checked]:
    """Specs of the runs that can be trained; the others are noted as refused, each combination once."""
    checked = []
    for job in jobs:
        try:
            checked.append((specs(composer(job)), job))
        except ValueError as error:
            result.refused.append((job, visible(str(error))))
    return checked


def _with_baselines(
    checked: list[Checked], composer: Composer, specs: Specs, result: Plan
) -> tuple[list[Checked], list[Checked]]:
    """The runs whose baseline can be trained, and the baselines, each once, those of the sweep itself among them.

    A run whose baseline cannot be is refused with it: there would be nothing to measure it against.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    own: list[tuple[str, ...]] = []
    for _, overrides in checked:
        words = baseline_words(overrides, composer)
        own.append(tuple(words))
        if tuple(words) not in found:
            is_baseline = variant(composer(words)) == BASELINE
            found[tuple(words)] = words if is_baseline else [*words, *_explicit_baseline(composer(words))]
    before = len(result.refused)
    baselines = _check(list(found.values()), composer, specs, result)
    reasons = {tuple(words): reason for words, reason in result.refused[before:]}
    lost = {key: reasons[tuple(words)] for key, words in found.items() if tuple(words) in reasons}
    alone = [(words, lost[key]) for (_, words), key in zip(checked, own, strict=True) if key in lost]
    result.refused += [(words, f"its baseline cannot be trained: {reason}") for words, reason in alone]
    return [run for run, key in zip(checked, own, strict=True) if key not in lost], baselines


def _in_its_folder(spec: RunSpec, sweep_dir: Path) -> RunSpec:
    """The run under the name of its folder, where it was begun under its former identity or as another variant."""
    if (sweep_dir / spec.name).is_dir():
        return spec
    former = replace(spec, run_id=spec.former_id)
    if (sweep_dir / former.name).is_dir():
        return former
    begun = sorted(sweep_dir.glob(f"*-s{spec.seed}-{spec.run_id[:8]}/{CONFIG_FILE}"))
    return replace(spec, folder=begun[0].parent.name) if begun else spec


def _explicit_baseline(config: dict[str, Any]) -> list[str]:
    """Every axis spelled out, for experiments that change one in their yaml."""
    return [f"{AXES[axis].word}={name}" for axis, name in baseline_of(config).items()]


def _finished_elsewhere(root: Path | None) -> dict[str, tuple[Path, Record]]:
    """Folder and record of every run below `root` that finished and is all there, by its identity."""
    found = _readable(root) if root and root.is_dir() else ()
    return {
        record.run_id: (folder, record)
        for folder, record in found
        if record.status == FINISHED and (folder / CONFIG_FILE).exists()
    }


def _readable(root: Path) -> Iterator[tuple[Path, Record]]:
    """Folder and record of every run below `root`; damaged ones are passed over, as if they had not been trained."""
    for folder in find_runs(root):
        with suppress(ValueError):
            yield folder, load_run(folder).record
