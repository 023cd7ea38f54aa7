"""What a folder holds of a run when it begins, and what follows from that."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import lightning as L
from omegaconf import OmegaConf

from algoprog import written
from algoprog.config import read_config
from algoprog.run.micro_batch import sizes, tried
from algoprog.run.outcome import surroundings
from algoprog.run.provenance import described, differences
from algoprog.run.rank_agreement import Decision
from algoprog.run.spec import RunSpec
from algoprog.runs.record import CONFIG_FILE, CURVE_FILE, RECORD_FILE, Record
from algoprog.runs.store import load_run, write_atomic, write_curve
from algoprog.training.devices import parallel
from algoprog.training.module import LanguageModel
from algoprog.training.state import checkpoint
from algoprog.training.state.checkpoint import Checkpoint
from algoprog.training.state.lock import FolderTakenError
from algoprog.variant import determining

log = logging.getLogger(__name__)


def is_same(spec: RunSpec, folder: Path) -> bool:
    """Whether the run that another program writes to the folder is this one, as far as its configuration says.

    Raises:
        FolderTakenError: the configuration is damaged.
    """
    try:
        other = read_config(folder)
    except OSError:
        return True  # not written yet: ask again
    except ValueError as error:
        raise FolderTakenError(f"another program is writing to {folder}, and {error}") from None
    return determining(written.settings(spec.config)) == determining(written.settings(other))


def decide(spec: RunSpec, folder: Path, trainer: L.Trainer, module: Callable[[], LanguageModel]) -> Decision:
    """How the run begins; the first process alone looks, and holds the lock."""
    if _finished(spec, folder):
        return Decision(finished=True)
    cut = _cut(spec, folder, trainer, module)
    return Decision(resume=_prepare(cut, folder, trainer, module()), micro_batch_size=cut.micro_batch_size)


def _cut(spec: RunSpec, folder: Path, trainer: L.Trainer, module: Callable[[], LanguageModel]) -> RunSpec:
    """The run with its micro-batch: the one that it began with, as long as memory takes it, so that no digit changes.

    Raises:
        NoRoomError: the device takes none.
    """
    if not spec.auto_micro_batch:
        return spec
    before = _began_with(folder)
    device = trainer.strategy.root_device
    if device.type == "cuda" and not parallel.is_sharded(trainer):
        return tried(spec, module().gpt, device, before)
    return spec.cut(before) if before in set(sizes(spec, spec.micro_batch_size)) else spec


def _began_with(folder: Path) -> int | None:
    """The micro-batch of the settings that the folder holds."""
    with suppress(OSError, ValueError):
        found = read_config(folder).get("micro_batch_size")
        return found if isinstance(found, int) else None
    return None


def _finished(spec: RunSpec, folder: Path) -> Record | None:
    """The record of this run, if it is there."""
    if not (folder / RECORD_FILE).exists():
        return None
    try:
        record = load_run(folder).record
    except ValueError as error:
        aside = (folder / RECORD_FILE).replace(folder / f"{RECORD_FILE}.damaged")
        log.warning("trained again, the record is kept as %s: %s", aside.name, error)
        return None
    if record.run_id not in (spec.run_id, spec.former_id):
        raise FolderTakenError(
            f"{folder} holds another finished run, {record.variant} of {record.model} with seed {record.seed}: choose"
            " another folder, or move it away first"
        )
    return record


def _prepare(spec: RunSpec, folder: Path, trainer: L.Trainer, module: LanguageModel) -> Checkpoint | None:
    """Leave in the folder what belongs to this run up to its last usable checkpoint; that checkpoint, if any."""
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    resume = checkpoint.latest(folder, (spec.run_id, spec.former_id), spec.n_devices, shapes)
    (folder / RECORD_FILE).unlink(missing_ok=True)
    write_atomic(folder / CONFIG_FILE, OmegaConf.to_yaml(OmegaConf.create(written.settings(spec.config))))
    checkpoint.forget(folder, after=resume)
    if resume is None:
        (folder / CURVE_FILE).unlink(missing_ok=True)
        return None
    write_curve(folder, resume.rows)
    log.info("going on from the checkpoint after step %d", resume.step)
    differs = differences(resume.environment, surroundings(spec, trainer.strategy.root_device))
    if differs:
        words = "; ".join(described(differs))
        log.warning("it was written %s; losses may differ in the last digits from here on, seconds do", words)
    entry = {"step": resume.step, "commit": resume.environment.get("git_commit"), "differs": differs}
    return replace(resume, resumed=[*resume.resumed, entry])
