"""Checkpoints of one run as files: written atomically, checked when read, and never executed.

A file is the SHA-256 of what follows, in 64 hex digits, then Lightning's checkpoint as `torch.save` writes it.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO

from algoprog.training.state.lock import FolderTakenError

FOLDER = "checkpoints"
CURVE = "Curve"
"""Entry of a checkpoint's callbacks under which the rows of the curve lie."""

KEPT = 2
"""The newest, and the one before it in case the newest turns out to be damaged."""

STATE = "algoprog"
"""Key of what this program adds to Lightning's checkpoint."""

DIGEST_BYTES = 64

log = logging.getLogger(__name__)


class NotThisRunError(ValueError):
    """A checkpoint is intact, but of another run, number of devices or version of the program."""


@dataclass(frozen=True)
class Checkpoint:
    """What has to be known of a usable checkpoint before training goes on from it."""

    path: Path
    step: int
    environment: dict[str, Any]  # of the program that wrote it: sources, versions, machine
    resumed: list[dict[str, Any]]  # every earlier resume, as the record lists them
    rows: list[dict[str, float | int]]  # what curve.csv held


class CheckpointFiles(CheckpointIO):
    """Lightning's way to the disk: a full one costs a checkpoint, never the run nor the checkpoint before."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Put a checkpoint safely in place, then drop all but the newest two; before it those that a kill left over."""
        path = Path(path)
        try:
            _drop_old(path.parent)
            _write(checkpoint, path)
            _drop_old(path.parent)
        except OSError as error:
            log.warning("no checkpoint at step %s (%s): training goes on", checkpoint["global_step"], error)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """What `read` returns; the arguments cannot weaken it."""
        return read(Path(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete the file."""
        Path(path).unlink(missing_ok=True)


def _drop_old(folder: Path) -> None:
    for old in _files(folder)[:-KEPT]:
        old.unlink()


def name(step: int) -> str:
    """File of the checkpoint after an optimizer step; names sort by step."""
    return f"{step:012d}.ckpt"


def read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint: tensors and plain values alone.

    Raises:
        ValueError: the file is damaged, or holds anything else.
    """
    with path.open("rb") as file:
        digest, payload = file.read(DIGEST_BYTES), file.read()
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        raise ValueError("its checksum does not fit: it is cut short or damaged")
    try:
        content = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except Exception as error:  # torch's reader has no error class of its own
        raise ValueError(f"it holds more than tensors and plain values, {type(error).__name__}") from error
    if not isinstance(content, dict):
        raise ValueError("it holds no checkpoint")
    return content


def latest(folder: Path, run_ids: Sequence[str], n_devices: int, shapes: Mapping[str, torch.Size]) -> Checkpoint | None:
    """The newest usable checkpoint of a run; every unusable one that is newer is named in the log.

    Args:
        folder: the run's folder.
        run_ids: identities of the run, data included: its own, and former ones.
        n_devices: devices that the run trains on now.
        shapes: of the model's weights.

    Raises:
        FolderTakenError: none is usable, and one that could not be read or is of another run would be lost.
    """
    kept: Exception | None = None
    for path in reversed(_files(folder / FOLDER)):
        try:
            return _checked(path, run_ids, n_devices, shapes)
        except (OSError, ValueError) as error:
            log.warning("checkpoint %s is not used: %s", path, error)
            kept = error if isinstance(error, OSError | NotThisRunError) else kept
    if kept is not None:
        raise FolderTakenError(
            f"{folder / FOLDER} holds a checkpoint that this run cannot use ({kept}): start as that run did, choose"
            " another folder, or move the checkpoints away to start over"
        )
    return None


def forget(folder: Path, *, after: Checkpoint | None = None) -> None:
    """Delete a run's checkpoints, or those behind the one that it goes on from."""
    if after is None:
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        return
    for path in (folder / FOLDER).iterdir():
        if path.name > after.path.name or path not in _files(folder / FOLDER):
            path.unlink(missing_ok=True)


def recount(content: dict[str, Any], accumulate: int) -> None:
    """Let Lightning's counters of batches stand where the steps do, as this run cuts its batches.

    Args:
        content: of a checkpoint, which is changed.
        accumulate: micro-batches of one process in a step.
    """
    progress = content["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    for counters in (progress["total"], progress["current"]):
        shift = int(content["global_step"]) * accumulate - counters["ready"]
        counters.update({name: count + shift for name, count in counters.items()})


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.ckpt"))


def _checked(path: Path, run_ids: Sequence[str], n_devices: int, shapes: Mapping[str, torch.Size]) -> Checkpoint:
    content = read(path)
    try:
        own, rows = content[STATE], content["callbacks"][CURVE]["written"]
        found = Checkpoint(path, int(content["global_step"]), _environment(own), own["resumed"], rows)
        ranks, weights = len(own["ranks"]), {key: value.shape for key, value in content["state_dict"].items()}
        written_by = own["run_id"]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"it lacks {error}") from error
    if written_by not in run_ids:
        raise NotThisRunError(f"it belongs to run {written_by}, not to {run_ids[0]}")
    if ranks != n_devices:
        raise NotThisRunError(f"it was written on {ranks} device(s), and this run has {n_devices}")
    if weights != shapes:
        raise NotThisRunError("it was written by a version of the program whose model has other weights")
    return found


def _environment(own: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of its origin; older ones name the commit alone."""
    return own["environment"] if "environment" in own else {"git_commit": own["commit"]}


class _Hashing:
    """A file that `torch.save` writes to, hashed on the way."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest = file, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write on, and keep the reason if it fails: torch replaces it by one that says nothing."""
        try:
            self.digest.update(data)
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Nothing: the end of the file is flushed with its checksum."""


def _write(checkpoint: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(b"0" * DIGEST_BYTES)
            _save(checkpoint, _Hashing(file))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _save(checkpoint: dict[str, Any], sink: _Hashing) -> None:
    try:
        torch.save(checkpoint, cast(IO[bytes], sink))  # it asks for no more than `write` and `flush`
    except RuntimeError:
        if sink.error is not None:
            raise sink.error from None
        raise
    sink.file.seek(0)
    sink.file.write(sink.digest.hexdigest().encode())


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the file system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
