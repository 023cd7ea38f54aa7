"""Checkpoints that cannot be used: the one before is, or the run starts over; nothing in them is ever executed."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from algoprog.training.state import checkpoint
from tests.training.resuming import EVERY_STEP, checkpoints, finish, result, resumed, rewrite

WORDS = (*EVERY_STEP, "model.dropout=0.3")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What an undisturbed run leaves."""
    folder = tmp_path_factory.mktemp("calm")
    assert finish(folder, *WORDS)[0] == 0
    return result(folder)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run killed behind its fourth checkpoint; no test may change it."""
    folder = tmp_path_factory.mktemp("stopped")
    assert finish(folder, *WORDS, faults={"step": 5})[0] == -9
    assert [path.name for path in checkpoints(folder)] == ["000000000003.ckpt", "000000000004.ckpt"]
    return folder


@pytest.fixture
def killed(stopped: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(stopped, tmp_path, dirs_exist_ok=True)
    return tmp_path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def other_weights(path: Path) -> None:
    content = checkpoint.read(path)
    content["state_dict"]["gpt.new"] = torch.zeros(1)
    save(path, content)


def not_a_checkpoint(path: Path) -> None:
    save(path, {"weights": torch.zeros(3)})


def save(path: Path, content: Any) -> None:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    seal(path, buffer.getvalue())


def seal(path: Path, payload: bytes) -> None:
    path.write_bytes(hashlib.sha256(payload).hexdigest().encode() + payload)


class Exploit:
    """Unpickled, it leaves a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def plant(path: Path, trace: Path, *, form: str) -> None:
    """Replace a checkpoint by code, with a checksum that fits."""
    if form == "pickle":
        seal(path, pickle.dumps(Exploit(trace)))
    elif form == "torch.save":
        save(path, {**checkpoint.read(path), "extra": Exploit(trace)})
    else:  # the archive of a real checkpoint with another data.pkl
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(path.read_bytes()[64:])) as old, zipfile.ZipFile(buffer, "w") as new:
            for item in old.namelist():
                new.writestr(item, pickle.dumps(Exploit(trace)) if item.endswith("data.pkl") else old.read(item))
        seal(path, buffer.getvalue())


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "cut short": (cut, "its checksum does not fit"),
    "empty": (empty, "its checksum does not fit"),
    "one bit": (flip, "its checksum does not fit"),
    "another run": (lambda path: rewrite(path, run_id="feed"), "it belongs to run feed"),
    "other devices": (lambda path: rewrite(path, ranks=[{}, {}]), "it was written on 2 device(s), and this run has 1"),
    "other weights": (other_weights, "whose model has other weights"),
    "something else": (not_a_checkpoint, "it lacks 'algoprog'"),
}

QUICK = ("cut short", "another run", "other weights")


@pytest.mark.parametrize(
    "damage", [pytest.param(damage, marks=() if damage in QUICK else pytest.mark.slow) for damage in DAMAGES]
)
def test_the_one_before_is_used(calm: Any, killed: Path, damage: str) -> None:
    harm, sentence = DAMAGES[damage]
    harm(checkpoints(killed)[-1])
    code, output = finish(killed, *WORDS)
    assert code == 0, output
    assert sentence in output
    assert "going on from the checkpoint after step 3" in output
    assert resumed(killed) == [3]
    assert result(killed) == calm


def test_without_a_usable_one_the_run_starts_over(calm: Any, killed: Path) -> None:
    for path in checkpoints(killed):
        cut(path)
    code, output = finish(killed, *WORDS)
    assert code == 0
    assert output.count("its checksum does not fit") == 2
    assert resumed(killed) == []
    assert result(killed) == calm


@pytest.mark.parametrize("form", ["pickle", "torch.save", "archive"])
def test_no_code_in_a_checkpoint_is_executed(calm: Any, killed: Path, tmp_path: Path, form: str) -> None:
    trace = tmp_path / "executed"
    plant(checkpoints(killed)[-1], trace, form=form)
    code, output = finish(killed, *WORDS)
    assert code == 0
    assert "it holds more than tensors and plain values" in output
    assert not trace.exists()
    assert result(killed) == calm


def test_the_planted_code_works(killed: Path, tmp_path: Path) -> None:
    """Else the test above would show nothing."""
    path = checkpoints(killed)[-1]
    plant(path, tmp_path / "executed", form="archive")
    with suppress(Exception):  # what comes out is no checkpoint
        torch.load(io.BytesIO(path.read_bytes()[64:]), weights_only=False)
    assert (tmp_path / "executed").exists()


def test_a_full_disk_ends_neither_the_run_nor_the_checkpoints_before(calm: Any, tmp_path: Path) -> None:
    code, output = finish(tmp_path, *WORDS, faults={"full": 3, "step": 6})
    assert code == -9
    assert output.count("no checkpoint at step") == 3, "it is tried again at every step"
    assert "File too large" in output
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "000000000001.ckpt",
        "000000000002.ckpt",
    ]
    code, output = finish(tmp_path, *WORDS, faults={"full": 1})
    assert code == 0, output
    assert resumed(tmp_path) == [2]
    assert result(tmp_path) == calm


def test_a_failed_write_keeps_what_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Here the folder cannot be written to at all, because it is a file."""
    (tmp_path / "checkpoints").write_text("")
    with caplog.at_level(logging.WARNING):
        checkpoint.CheckpointFiles().save_checkpoint({"global_step": 7}, tmp_path / "checkpoints" / checkpoint.name(7))
    assert "no checkpoint at step 7" in caplog.text
    assert (tmp_path / "checkpoints").is_file()
